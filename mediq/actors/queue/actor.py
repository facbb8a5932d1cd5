"""The queue service: commands and queries over one event log. Its rules stand in `rules/`."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from mediq.actors.queue.command_handlers import CommandHandlers
from mediq.actors.queue.command_processor import CommandProcessor
from mediq.actors.queue.event_store.base import EventLog
from mediq.actors.queue.history import History
from mediq.actors.queue.messages import topic_of
from mediq.actors.queue.patients import Patients
from mediq.actors.queue.queries import Queries
from mediq.actors.queue.rules import day
from mediq.actors.queue.rules.commands import CloseDayIfOver, Given
from mediq.actors.queue.rules.events import Recorded
from mediq.domain.clinic import Clinic
from mediq.messages.errors import Fault
from mediq.observability import logging
from mediq.runtime.actor import Actor
from mediq.runtime.bus import Bus
from mediq.runtime.periodic import every

_log = logging.logger("queue")


class QueueActor(Actor):
    """Answers `queue.*`. Many commands are handled at once, so that the processor can commit them together.

    `settings` is the clinic of the settings file; an administrator's changes are in the log. `shared` says that other
    processes append to the log too.
    """

    name = "queue"
    concurrency = 128

    def __init__(
        self,
        bus: Bus,
        log: EventLog,
        settings: Clinic,
        *,
        shared: bool,
        cleanup_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._processor = CommandProcessor(log, settings, on_recorded=self._publish, shared=shared)
        self._settings = settings
        self._cleanup_seconds = cleanup_seconds
        self._clock = clock
        super().__init__(
            bus,
            CommandHandlers(self._processor, Patients(bus), settings, clock),
            Queries(self._processor, History(log), settings, clock),
        )

    async def on_start(self) -> None:
        await self._processor.restore()
        if self._processor.state.configuration is not None:
            _log.info("services and counters are those that an administrator saved, not those of the settings")

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._processor.run())
            group.create_task(every(self._cleanup_seconds, self._clean))

    async def _publish(self, recorded: Sequence[Recorded]) -> None:
        """Publish events that are safe in the log. A subscriber that misses one finds it in the log."""
        try:
            for each in recorded:
                await self.bus.publish(each, topic=topic_of(each))
        except Fault as error:
            _log.warning("events not published", code=error.code)

    async def _clean(self) -> None:
        """Close the day when it is over, so that no ticket waits for ever, and compact the log."""
        now = self._clock()
        state = await self._processor.fresh()
        if day.is_over(state, self._settings.changed(state.configuration), now):
            # The rules look again when the command is decided: a patient may have come in the meantime.
            await self._processor.submit(CloseDayIfOver(), Given(at=now, actor="system"))
        await self._processor.compact(now)

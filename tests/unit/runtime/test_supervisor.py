"""Supervision: order, restarts, strategies, intensity, escalation; no child is ever left running."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mediq.runtime.supervisor import Child, ChildSpec, Escalated, Intensity, Restart, Strategy, Supervisor, jittered
from tests.fixtures.runtime import Clock, settle, until


class Scripted(Child):
    """A child that runs until told how to end."""

    def __init__(self, nursery: "Nursery", name: str) -> None:
        self.nursery = nursery
        self.name = name
        self.number = len(nursery.made[name])
        self.running = False
        self.cancelled = False
        self.stubborn = False
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(self, what: str) -> None:
        self.nursery.journal.append(f"{what} {self.name}")

    async def start(self) -> None:
        self.note("start")
        if failures := self.nursery.start_failures.get(self.name):
            raise failures.pop(0)

    async def run(self) -> None:
        self.running = True
        try:
            await self.end
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.running = False
            self.note("end")

    async def stop(self) -> None:
        self.note("stop")
        if self.name in self.nursery.stop_failures:
            raise self.nursery.stop_failures[self.name]
        if not self.stubborn and not self.end.done():
            self.end.set_result(None)

    def fail(self, error: Exception | None = None) -> None:
        self.end.set_exception(error or RuntimeError(f"{self.name} broke"))

    def finish(self) -> None:
        self.end.set_result(None)


class Nursery:
    """Makes supervisors and scripted children, with a manual clock and recorded instead of real waits."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.journal: list[str] = []
        self.slept: list[float] = []
        self.made: dict[str, list[Scripted]] = {}
        self.start_failures: dict[str, list[Exception]] = {}
        self.stop_failures: dict[str, Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.tasks: list[asyncio.Task[None]] = []

    def spec(self, name: str, restart: Restart = Restart.PERMANENT, shutdown: float = 30.0) -> ChildSpec:
        self.made.setdefault(name, [])

        def factory() -> Child:
            child = Scripted(self, name)
            self.made[name].append(child)
            return child

        return ChildSpec(name=name, factory=factory, restart=restart, shutdown=shutdown)

    def supervisor(self, *specs: ChildSpec | str, name: str = "top", **options: Any) -> Supervisor:
        given: dict[str, Any] = {
            "backoff": lambda restart: float(restart),
            "sleep": self.sleep,
            "clock": self.clock,
        } | options
        return Supervisor(name, [self.spec(s) if isinstance(s, str) else s for s in specs], **given)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.gate.wait()

    async def run(self, supervisor: Supervisor) -> asyncio.Task[None]:
        await supervisor.start()
        task = asyncio.create_task(supervisor.run())
        self.tasks.append(task)
        await settle()
        return task

    def now(self, name: str) -> Scripted:
        """The newest instance."""
        return self.made[name][-1]

    async def replaced(self, name: str, instances: int) -> Scripted:
        """The newest instance, once there are `instances` of them and it runs."""
        await until(lambda: len(self.made[name]) == instances and self.now(name).running)
        return self.now(name)

    @property
    def running(self) -> list[str]:
        """The sorted names of all running instances, old and new."""
        return sorted(child.name for children in self.made.values() for child in children if child.running)

    def told(self) -> list[str]:
        """The journal since the last call."""
        journal, self.journal = self.journal, []
        return journal


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    nursery = Nursery()
    yield nursery
    for task in nursery.tasks:
        task.cancel()
    await asyncio.gather(*nursery.tasks, return_exceptions=True)
    assert nursery.running == []


async def test_children_start_in_order_and_stop_in_the_opposite_order(nursery: Nursery) -> None:
    supervisor = nursery.supervisor("a", "b", "c")
    task = await nursery.run(supervisor)
    assert nursery.told() == ["start a", "start b", "start c"]
    assert nursery.running == ["a", "b", "c"]
    await supervisor.stop()
    await task
    assert nursery.told() == ["stop c", "end c", "stop b", "end b", "stop a", "end a"]


async def test_a_supervisor_runs_until_it_is_stopped(nursery: Nursery) -> None:
    supervisor = nursery.supervisor()
    task = await nursery.run(supervisor)
    assert not task.done()
    await supervisor.stop()
    await task


async def test_a_child_that_fails_its_first_start_stops_all_before_it(nursery: Nursery) -> None:
    nursery.spec("c")
    nursery.start_failures["c"] = [OSError("port taken")]
    with pytest.raises(OSError, match="port taken"):
        await nursery.supervisor("a", "b", "c", "d").start()
    assert nursery.told() == ["start a", "start b", "start c", "stop b", "end b", "stop a", "end a"]
    assert nursery.running == []
    assert nursery.slept == []


async def test_a_cancelled_start_stops_the_children_that_started(nursery: Nursery) -> None:
    class Slow(Child):
        async def start(self) -> None:
            await asyncio.Event().wait()

        async def run(self) -> None: ...

        async def stop(self) -> None: ...

    starting = asyncio.create_task(nursery.supervisor("a", ChildSpec(name="slow", factory=Slow)).start())
    await until(lambda: nursery.running == ["a"])
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert nursery.told() == ["start a", "stop a", "end a"]


async def test_one_for_one_restarts_the_failed_child_alone(nursery: Nursery) -> None:
    await nursery.run(nursery.supervisor("a", "b", "c"))
    nursery.told()
    nursery.now("b").fail()
    await nursery.replaced("b", 2)
    assert nursery.told() == ["end b", "start b"]
    assert [len(nursery.made[name]) for name in "abc"] == [1, 2, 1]


async def test_rest_for_one_also_restarts_the_children_after_the_failed_one(nursery: Nursery) -> None:
    supervisor = nursery.supervisor("a", "b", "c", "d", strategy=Strategy.REST_FOR_ONE)
    task = await nursery.run(supervisor)
    nursery.told()
    nursery.now("b").fail()
    await nursery.replaced("d", 2)
    assert nursery.told() == ["end b", "stop d", "end d", "stop c", "end c", "start b", "start c", "start d"]
    assert [len(nursery.made[name]) for name in "abcd"] == [1, 2, 2, 2]
    assert nursery.slept == [1.0]
    await supervisor.stop()
    await task
    assert nursery.told()[0::2] == ["stop d", "stop c", "stop b", "stop a"]


async def test_every_restart_makes_a_new_instance(nursery: Nursery) -> None:
    await nursery.run(nursery.supervisor("a", "b"))
    first = nursery.now("a")
    first.fail()
    second = await nursery.replaced("a", 2)
    assert second is not first
    assert not first.running


def test_two_children_of_one_name_are_refused(nursery: Nursery) -> None:
    with pytest.raises(ValueError, match="two children have the same name"):
        nursery.supervisor("a", "b", "a")


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize(
    ("restart", "how", "again"),
    [
        (Restart.PERMANENT, "fail", True),
        (Restart.PERMANENT, "finish", True),
        (Restart.PERMANENT, "cancel", True),
        (Restart.TRANSIENT, "fail", True),
        (Restart.TRANSIENT, "finish", False),
        (Restart.TRANSIENT, "cancel", True),
        (Restart.TEMPORARY, "fail", False),
        (Restart.TEMPORARY, "finish", False),
        (Restart.TEMPORARY, "cancel", False),
    ],
)
async def test_when_a_child_is_restarted(
    nursery: Nursery, strategy: Strategy, restart: Restart, how: str, again: bool
) -> None:
    task = await nursery.run(nursery.supervisor("a", nursery.spec("b", restart), "c", strategy=strategy))
    match how:
        case "fail":
            nursery.now("b").fail()
        case "finish":
            nursery.now("b").finish()
        case "cancel":  # the child awaited a cancelled future; nothing cancelled the child itself
            nursery.now("b").end.cancel()
    await settle()
    assert len(nursery.made["b"]) == (2 if again else 1)
    assert nursery.running == (["a", "b", "c"] if again else ["a", "c"])
    assert not task.done()


async def test_a_temporary_child_is_not_restarted_by_the_failure_of_another(nursery: Nursery) -> None:
    specs = [nursery.spec("a"), nursery.spec("b", Restart.TEMPORARY), nursery.spec("c", Restart.TRANSIENT)]
    await nursery.run(nursery.supervisor(*specs, strategy=Strategy.REST_FOR_ONE))
    nursery.now("a").fail()
    await nursery.replaced("c", 2)
    assert len(nursery.made["b"]) == 1
    assert nursery.running == ["a", "c"]
    nursery.now("c").fail()
    await nursery.replaced("c", 3)
    assert nursery.running == ["a", "c"]


async def test_a_child_that_has_ended_does_not_delay_the_others(nursery: Nursery) -> None:
    supervisor = nursery.supervisor(nursery.spec("a", Restart.TEMPORARY), "b")
    task = await nursery.run(supervisor)
    nursery.now("a").finish()
    await settle()
    nursery.now("b").fail()
    await nursery.replaced("b", 2)
    await supervisor.stop()
    await task
    assert "stop a" not in nursery.told()


async def test_children_that_fail_together_are_all_restarted(nursery: Nursery) -> None:
    await nursery.run(nursery.supervisor("a", "b", "c"))
    for name in "abc":
        nursery.now(name).fail()
    for name in "abc":
        await nursery.replaced(name, 2)
    assert nursery.slept == [1.0, 2.0, 3.0]


async def test_rest_for_one_counts_one_failure_when_the_first_restarts_the_rest(
    nursery: Nursery,
) -> None:
    await nursery.run(nursery.supervisor("a", "b", "c", strategy=Strategy.REST_FOR_ONE))
    nursery.now("c").fail()
    nursery.now("a").fail()  # the failure of c is retrieved, else the loop would report it
    await nursery.replaced("c", 2)
    assert [len(nursery.made[name]) for name in "abc"] == [2, 2, 2]
    assert nursery.slept == [1.0]


async def test_restart_delays_grow_until_the_period_is_over(nursery: Nursery) -> None:
    await nursery.run(nursery.supervisor("a", intensity=Intensity(restarts=3, period=30.0)))
    for instances in (2, 3):
        nursery.now("a").fail()
        await nursery.replaced("a", instances)
    nursery.clock.advance(30.1)
    nursery.now("a").fail()
    await nursery.replaced("a", 4)
    assert nursery.slept == [1.0, 2.0, 1.0]


async def test_more_restarts_than_the_intensity_allows_escalate(nursery: Nursery) -> None:
    task = await nursery.run(nursery.supervisor("a", "b", intensity=Intensity(restarts=3, period=30.0)))
    for instances in (2, 3, 4):
        nursery.now("b").fail()
        await nursery.replaced("b", instances)
    nursery.told()
    nursery.clock.advance(30.0)
    last = OSError("the last straw")
    nursery.now("b").fail(last)
    with pytest.raises(Escalated, match=r"b failed 4 times within 30 s") as escalated:
        await task
    assert escalated.value.__cause__ is last
    assert nursery.told() == ["end b", "stop a", "end a"]
    assert nursery.slept == [1.0, 2.0, 3.0]


async def test_the_intensity_counts_the_restarts_of_all_children_together(nursery: Nursery) -> None:
    task = await nursery.run(nursery.supervisor("a", "b", "c", intensity=Intensity(restarts=2, period=30.0)))
    for name in "ab":
        nursery.now(name).fail()
        await nursery.replaced(name, 2)
    nursery.now("c").fail()
    with pytest.raises(Escalated):
        await task


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_restart_that_fails_counts_and_is_repeated(nursery: Nursery, strategy: Strategy) -> None:
    await nursery.run(nursery.supervisor("a", "b", strategy=strategy))
    nursery.start_failures["a"] = [OSError("not yet"), OSError("not yet")]
    nursery.now("a").fail()
    await nursery.replaced("a", 4)
    await settle()
    assert nursery.slept == [1.0, 2.0, 3.0]
    assert nursery.running == ["a", "b"]


async def test_a_restart_that_never_starts_escalates_with_the_reason(nursery: Nursery) -> None:
    task = await nursery.run(nursery.supervisor("a", "b"))
    reason = OSError("never")
    nursery.start_failures["a"] = [OSError("not yet"), OSError("not yet"), reason]
    nursery.now("a").fail()
    with pytest.raises(Escalated) as escalated:
        await task
    assert escalated.value.__cause__ is reason
    assert len(nursery.made["a"]) == 4
    assert nursery.running == []


async def test_rest_for_one_stops_the_children_of_a_restart_that_fails_half_way(nursery: Nursery) -> None:
    await nursery.run(nursery.supervisor("a", "b", "c", strategy=Strategy.REST_FOR_ONE))
    nursery.told()
    nursery.start_failures["c"] = [OSError("not yet")]
    nursery.now("b").fail()
    await nursery.replaced("c", 3)
    assert nursery.told() == [
        *("end b", "stop c", "end c"),
        *("start b", "start c", "stop b", "end b"),
        *("start b", "start c"),
    ]


async def test_a_child_that_does_not_end_in_time_is_cancelled(nursery: Nursery) -> None:
    supervisor = nursery.supervisor("a", nursery.spec("b", shutdown=0.02), "c")
    task = await nursery.run(supervisor)
    nursery.told()
    stubborn = nursery.now("b")
    stubborn.stubborn = True
    await supervisor.stop()
    await task
    assert stubborn.cancelled
    assert nursery.told() == ["stop c", "end c", "stop b", "end b", "stop a", "end a"]


async def test_a_child_that_fails_to_stop_is_cancelled_and_the_others_end(nursery: Nursery) -> None:
    supervisor = nursery.supervisor("a", "b", "c")
    task = await nursery.run(supervisor)
    nursery.stop_failures["b"] = RuntimeError("cannot stop")
    await supervisor.stop()
    await task
    assert nursery.now("b").cancelled
    assert nursery.running == []


async def test_a_child_that_fails_while_it_stops_does_not_delay_the_others(nursery: Nursery) -> None:
    supervisor = nursery.supervisor("a", "b")
    task = await nursery.run(supervisor)
    b = nursery.now("b")
    b.stubborn = True
    await supervisor.stop()
    await until(lambda: "stop b" in nursery.journal)
    b.fail()
    await task
    assert nursery.running == []


async def test_a_stop_while_a_restart_waits_starts_nothing_more(nursery: Nursery) -> None:
    supervisor = nursery.supervisor("a", "b")
    task = await nursery.run(supervisor)
    nursery.gate.clear()
    nursery.now("b").fail()
    await until(lambda: nursery.slept == [1.0])
    nursery.told()
    await supervisor.stop()
    nursery.gate.set()
    await task
    assert nursery.told() == ["stop a", "end a"]
    assert len(nursery.made["b"]) == 1


async def test_a_cancelled_supervisor_leaves_no_child_behind(nursery: Nursery) -> None:
    task = await nursery.run(nursery.supervisor("a", "b", "c"))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert nursery.running == []


async def test_a_supervisor_cancelled_while_it_stops_leaves_no_child_behind(nursery: Nursery) -> None:
    supervisor = nursery.supervisor("a", "b", "c")
    task = await nursery.run(supervisor)
    nursery.now("b").stubborn = True
    nursery.told()
    await supervisor.stop()
    await until(lambda: "stop b" in nursery.journal)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert nursery.running == []
    assert nursery.told() == ["stop c", "end c", "stop b", "end b", "stop a", "end a"]


async def test_a_supervisor_cancelled_while_it_escalates_leaves_no_child_behind(nursery: Nursery) -> None:
    task = await nursery.run(nursery.supervisor("a", "b", "c", intensity=Intensity(restarts=0)))
    nursery.now("b").stubborn = True
    nursery.now("c").fail()
    await until(lambda: "stop b" in nursery.journal)
    task.cancel()
    await asyncio.wait([task])
    assert nursery.running == []


def nest(nursery: Nursery, *names: str, **options: Any) -> tuple[ChildSpec, list[Supervisor]]:
    """A supervisor as the child of another, and its instances."""
    made: list[Supervisor] = []
    shutdown = options.pop("shutdown", 30.0)

    def factory() -> Child:
        made.append(nursery.supervisor(*names, name="inner", **options))
        return made[-1]

    for name in names:
        nursery.spec(name)
    return ChildSpec(name="inner", factory=factory, shutdown=shutdown), made


async def test_a_nested_supervisor_starts_and_stops_in_order_with_its_siblings(nursery: Nursery) -> None:
    inner, _ = nest(nursery, "x", "y")
    supervisor = nursery.supervisor("a", inner, "z")
    task = await nursery.run(supervisor)
    assert nursery.told() == ["start a", "start x", "start y", "start z"]
    await supervisor.stop()
    await task
    assert nursery.told() == ["stop z", "end z", "stop y", "end y", "stop x", "end x", "stop a", "end a"]


async def test_a_nested_supervisor_that_escalates_is_restarted_whole(nursery: Nursery) -> None:
    inner, made = nest(nursery, "x", "y", intensity=Intensity(restarts=1))
    task = await nursery.run(nursery.supervisor("a", inner))
    nursery.now("y").fail()
    await nursery.replaced("y", 2)
    nursery.now("y").fail()
    await nursery.replaced("y", 3)
    assert len(made) == 2
    assert [len(nursery.made[name]) for name in "axy"] == [1, 2, 3]
    assert nursery.running == ["a", "x", "y"]
    assert not task.done()


async def test_failures_that_a_nested_supervisor_cannot_handle_reach_the_top(nursery: Nursery) -> None:
    inner, _ = nest(nursery, "x", "y", intensity=Intensity(restarts=0))
    task = await nursery.run(nursery.supervisor("a", inner, intensity=Intensity(restarts=1)))
    nursery.now("x").fail()
    await nursery.replaced("y", 2)
    nursery.now("x").fail()
    with pytest.raises(Escalated, match="inner failed 2 times") as escalated:
        await task
    assert isinstance(escalated.value.__cause__, Escalated)
    assert nursery.running == []


async def test_a_nested_supervisor_that_does_not_stop_in_time_is_cancelled_with_its_children(nursery: Nursery) -> None:
    inner, _ = nest(nursery, "x", "y", shutdown=0.02)
    supervisor = nursery.supervisor("a", inner)
    task = await nursery.run(supervisor)
    nursery.now("y").stubborn = True
    await supervisor.stop()
    await task
    assert nursery.running == []
    assert nursery.now("y").cancelled
    assert not nursery.now("x").cancelled


@pytest.mark.parametrize("restart", [1, 2, 3, 4])
def test_the_usual_backoff_doubles_and_is_jittered_upwards(restart: int) -> None:
    waits = {jittered(restart) for _ in range(50)}
    base = 0.1 * 2 ** (restart - 1)
    assert all(base <= wait <= 1.5 * base for wait in waits)
    assert len(waits) > 1


async def test_the_task_of_a_child_has_the_name_of_the_child(nursery: Nursery) -> None:
    await nursery.run(nursery.supervisor("a", "b"))
    names: Callable[[], set[str]] = lambda: {task.get_name() for task in asyncio.all_tasks()}  # noqa: E731
    assert {"a", "b"} <= names()

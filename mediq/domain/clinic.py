"""A clinic: its services (poli) and their hours, its counters (loket), and the rules it has chosen."""

import hashlib
from datetime import date, datetime, time
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from mediq.domain.errors import Invalid

TIMEZONES: tuple[str, ...] = ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")
"""WIB, WITA and WIT: Indonesia's three zones, each a whole number of hours from UTC and without summer time."""


# Examples for the description of the API. There are no limits: configurations that were stored must stay readable.
ClinicName = Annotated[str, msgspec.Meta(examples=["Klinik Contoh"])]
TimezoneName = Annotated[str, msgspec.Meta(examples=["Asia/Jakarta"])]
Notice = Annotated[str, msgspec.Meta(examples=["Siapkan e-KTP dan kartu BPJS Anda."])]
ServiceName = Annotated[str, msgspec.Meta(examples=["Poli Umum"])]
Letter = Annotated[str, msgspec.Meta(examples=["A"])]
OpeningTime = Annotated[time, msgspec.Meta(examples=["07:30:00"])]
ClosingTime = Annotated[time, msgspec.Meta(examples=["14:00:00"])]
CounterName = Annotated[str, msgspec.Meta(examples=["Loket 1"])]


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service that patients queue for. Without hours it is always open; hours may run over midnight."""

    id: Annotated[str, msgspec.Meta(examples=["umum"])]
    name: ServiceName
    letter: Letter
    opens: OpeningTime | None = None
    closes: ClosingTime | None = None


class Counter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A counter where patients are served; without `services` it serves every service."""

    id: Annotated[str, msgspec.Meta(examples=["1"])]
    name: CounterName
    services: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules that a clinic sets.

    Args:
        max_wait_minutes: the wait after which a patient is next in turn.
        recall_limit: the most repeated calls of a ticket.
        requeue: where a skipped patient who comes back waits.
        undo_seconds: how long a counter can undo its last action.
        high_in_a_row: the number of HIGH patients after which a waiting NORMAL one is called.
        retention_days: how long finished visits are kept.
        elderly_age: the age in years from which a patient is lansia.
        close_after_minutes: the time after the last service closed and the last action, after which the day is closed
            automatically. Patients who wait at closing time are still served.
    """

    max_wait_minutes: int = 60
    recall_limit: int = 3
    requeue: Literal["head", "after-three", "end"] = "after-three"
    undo_seconds: int = 60
    high_in_a_row: int = 2
    retention_days: int = 30
    elderly_age: int = 60
    close_after_minutes: int = 60


class ClinicConfiguration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The part of a clinic that an administrator may change while MediQ runs.

    Default values are not written, so that an older program that does not know a field can read the rest. `notice` is
    the running text of the boards; if it is empty, the boards show a text of their own.
    """

    name: ClinicName
    timezone: TimezoneName = "Asia/Jakarta"
    notice: Notice = ""
    services: tuple[Service, ...] = ()
    counters: tuple[Counter, ...] = ()

    @property
    def revision(self) -> str:
        """A digest of the configuration; an update names the revision that its author has seen."""
        seen = (self.name, self.timezone, self.notice, self.services, self.counters)
        return hashlib.sha256(msgspec.json.encode(seen)).hexdigest()[:16]


class Clinic(ClinicConfiguration, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """A clinic as its settings describe it; the first service is the default."""

    policy: Policy = Policy()

    def changed(self, configuration: ClinicConfiguration | None) -> "Clinic":
        """This clinic with an administrator's configuration, if any. The policy always comes from the settings."""
        return self if configuration is None else Clinic(**msgspec.structs.asdict(configuration), policy=self.policy)

    def local(self, at: datetime) -> datetime:
        """The same instant on the clinic's clock."""
        return at.astimezone(ZoneInfo(self.timezone))

    def day(self, at: datetime) -> date:
        """The clinic's calendar day at that instant."""
        return _day(self.timezone, at)

    def service(self, service_id: str | None) -> Service:
        """The service with that id, or the first one for None.

        Raises:
            Invalid: on field `service`, it does not exist.
        """
        if service_id is None and self.services:
            return self.services[0]
        for service in self.services:
            if service.id == service_id:
                return service
        raise Invalid.field("service", f"Poli {service_id} tidak ada di klinik ini.")

    def counter(self, counter_id: str) -> Counter:
        """The counter with that id.

        Raises:
            Invalid: on field `counter`, it does not exist.
        """
        for counter in self.counters:
            if counter.id == counter_id:
                return counter
        raise Invalid.field("counter", f"Loket {counter_id} tidak ada di klinik ini.")

    def offered(self, counter_id: str, service_id: str | None = None) -> tuple[str, ...]:
        """The ids of the services that a counter serves, in the clinic's order, or only `service_id`.

        Raises:
            Invalid: counter or service do not exist, or the counter does not serve the service.
        """
        counter = self.counter(counter_id)
        taken = tuple(s.id for s in self.services if not counter.services or s.id in counter.services)
        if service_id is None:
            return taken
        service = self.service(service_id)
        if service.id not in taken:
            raise Invalid.field("service", f"{counter.name} tidak melayani {service.name}.")
        return (service.id,)

    def is_open(self, service: Service, at: datetime) -> bool:
        """Whether the service accepts new patients: from `opens` until just before `closes`."""
        if service.opens is None and service.closes is None:
            return True
        now = self.local(at).time()
        opens, closes = service.opens or time.min, service.closes
        if closes is None:
            return now >= opens
        if opens <= closes:
            return opens <= now < closes
        return now >= opens or now < closes

    def minutes_since_closing(self, at: datetime) -> float | None:
        """Minutes since the last service of today closed, or None while one is open or none has closed yet."""
        if not self.services or any(self.is_open(s, at) for s in self.services):
            return None
        now = self.local(at)
        closed = [
            datetime.combine(now.date(), s.closes, now.tzinfo)
            for s in self.services
            if s.closes is not None and s.closes <= now.time()
        ]
        return (now - max(closed)).total_seconds() / 60 if closed else None


@lru_cache(64)  # a command and its view ask several times about one instant
def _day(timezone: str, at: datetime) -> date:
    return at.astimezone(ZoneInfo(timezone)).date()


DEFAULT = Clinic(
    name="Klinik",
    services=(Service(id="umum", name="Poli Umum", letter="A"),),
    counters=(
        Counter(id="1", name="Loket 1", services=("umum",)),
        Counter(id="2", name="Loket 2", services=("umum",)),
    ),
)
"""The clinic before it is set up."""

"""The rule of fairness that finds the next patient, and the priority that a patient gets.

URGENT always goes first. Then patients who have waited `max_wait_minutes` or longer, longest first. Then HIGH before
NORMAL, but after `high_in_a_row` HIGH one waiting NORMAL. LOW goes last. Within a priority, by turn.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice, takewhile

from mediq.actors.queue.rules.sorted_tickets import Key, Place, Places, by_turn, by_wait, index
from mediq.actors.queue.rules.ticket import REASONS, Priority, Ticket
from mediq.actors.queue.rules.waiting_line import Line
from mediq.domain.clinic import Policy
from mediq.domain.errors import Invalid


def next_in_turn(lines: Sequence[Line], at: datetime, policy: Policy) -> Place | None:
    """The place that a counter with these lines calls now; None when nobody waits."""
    urgent = _first(lines, Priority.URGENT)
    if urgent is not None:
        return urgent
    longest = _soonest([line.arrivals for line in lines], by_wait)
    if longest is not None and longest.since <= _cutoff(at, policy):
        return longest
    high, normal = _first(lines, Priority.HIGH), _first(lines, Priority.NORMAL)
    owed = normal is not None and sum(line.high_run for line in lines) >= policy.high_in_a_row
    if high is not None and not owed:
        return high
    return normal or _first(lines, Priority.LOW)


def high_run_after(run: int, called: Priority) -> int:
    """The number of HIGH called since the last NORMAL, after one more call."""
    if called is Priority.HIGH:
        return run + 1
    return 0 if called is Priority.NORMAL else run


def call_order(line: Line, at: datetime, policy: Policy) -> Iterator[Place]:
    """The places of one line in the order of their calls, as long as nobody joins and no wait passes its limit."""
    yield from line.lane(Priority.URGENT)
    overdue = _overdue(line, _cutoff(at, policy))
    yield from overdue
    run = _run_after(line, overdue)
    gone = {place.ticket_id for place in overdue}
    high, normal, low = (
        [place for place in line.lane(p) if place.ticket_id not in gone]
        for p in (Priority.HIGH, Priority.NORMAL, Priority.LOW)
    )
    h = n = 0
    while h < len(high) or n < len(normal):
        if h < len(high) and not (n < len(normal) and run >= policy.high_in_a_row):
            yield high[h]
            h, run = h + 1, run + 1
        else:
            yield normal[n]
            n, run = n + 1, 0
    yield from low


def people_ahead(line: Line, place: Place, at: datetime, policy: Policy) -> int:
    """The number of calls before this place in :func:`call_order`, computed without walking the line."""
    urgent = line.lane(Priority.URGENT)
    lane = line.lane(place.priority)
    before = index(lane, place, by_turn)
    if place.priority is Priority.URGENT:
        return before
    cutoff = _cutoff(at, policy)
    if place.since <= cutoff:
        return len(urgent) + index(line.arrivals, place, by_wait)
    overdue = _overdue(line, cutoff)
    before -= sum(o.priority is place.priority and index(lane, o, by_turn) < before for o in overdue)
    high = len(line.lane(Priority.HIGH)) - sum(o.priority is Priority.HIGH for o in overdue)
    normal = len(line.lane(Priority.NORMAL)) - sum(o.priority is Priority.NORMAL for o in overdue)
    many = policy.high_in_a_row
    before_first_normal = max(0, many - _run_after(line, overdue))
    if place.priority is Priority.HIGH:
        later = before - before_first_normal
        others = 0 if later < 0 else min(normal, 1 + later // many)
    elif place.priority is Priority.NORMAL:
        others = min(high, before_first_normal + before * many)
    else:
        others = high + normal
    return len(urgent) + len(overdue) + before + others


def turn_back(line: Line, ticket: Ticket, at: datetime, order: int, policy: Policy) -> Key:
    """The turn and order of a skipped patient who came back, by the clinic's policy.

    "After three" means after three other calls of any priority, or more where more patients go before this priority
    anyway. `order` is used at the end of the lane.
    """
    lane = line.lane(ticket.priority)
    if not lane:
        return (at, order)
    first, last = lane[0], lane[-1]
    end = (max(at, last.turn), order)
    if policy.requeue == "end":
        return end
    head = (first.turn, first.order - 1)
    if policy.requeue == "head":
        return head
    for key in (head, *map(by_turn, islice(lane, 3))):
        place = Place(ticket.id, ticket.priority, key[0], at, key[1])
        if people_ahead(line.join(place), place, at, policy) >= 3:
            return key
    return end


def lower(one: Priority, other: Priority) -> bool:
    """Whether priority `one` is called later than `other`."""
    order = list(Priority)
    return order.index(one) > order.index(other)


def grant(
    asked: Priority | None, reason: str | None, born: date | None, today: date, elderly_age: int
) -> tuple[Priority, str | None]:
    """The priority that a patient gets, and its reason.

    A reason alone is enough. HIGH needs one unless the birth date gives lansia; URGENT can only mean darurat. Age
    raises whatever is lower than HIGH.

    Raises:
        Invalid: on field `priority_reason`.
    """
    age = None if born is None else age_on(born, today)
    if reason is not None and reason not in REASONS:
        raise Invalid.field("priority_reason", f"Alasan prioritas harus salah satu dari {', '.join(REASONS)}.")
    if reason == "lansia" and age is not None and age < elderly_age:
        raise Invalid.field("priority_reason", f"Pasien berusia {age} tahun, belum lansia ({elderly_age} tahun).")
    if asked is Priority.URGENT and reason is None:
        reason = "darurat"
    if reason is not None:
        if asked not in (None, REASONS[reason]):
            raise Invalid.field("priority_reason", f"Alasan {reason} tidak sesuai dengan prioritas {asked}.")
        return REASONS[reason], reason
    if age is not None and age >= elderly_age:
        return Priority.HIGH, "lansia"
    if asked is Priority.HIGH:
        raise Invalid.field("priority_reason", "Prioritas HIGH memerlukan alasan: lansia, hamil, atau disabilitas.")
    return asked or Priority.NORMAL, None


def age_on(born: date, today: date) -> int:
    """Completed years of age."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _first(lines: Sequence[Line], priority: Priority) -> Place | None:
    return _soonest([line.lane(priority) for line in lines], by_turn)


def _soonest(lanes: Sequence[Places], key: Callable[[Place], Key]) -> Place | None:
    """The first of the heads of lanes that are sorted by `key`."""
    return min((lane[0] for lane in lanes if lane), key=key, default=None)


def _cutoff(at: datetime, policy: Policy) -> datetime:
    return at - timedelta(minutes=policy.max_wait_minutes)


def _overdue(line: Line, cutoff: datetime) -> tuple[Place, ...]:
    return tuple(takewhile(lambda place: place.since <= cutoff, line.arrivals))


def _run_after(line: Line, called: Sequence[Place]) -> int:
    run = line.high_run
    for place in called:
        run = high_run_after(run, place.priority)
    return run

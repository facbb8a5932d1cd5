"""The queue's day: which day counts for a command, and when a day is over."""

from datetime import date, datetime, timedelta

from mediq.actors.queue.rules.state import Queue
from mediq.domain.clinic import Clinic


def present(queue: Queue, at: datetime) -> datetime:
    """The time that counts for a command given `at`.

    While a day is open its time never runs back: a patient who comes after the clock was set back still waits behind
    the patients who came before.
    """
    return at if queue.day is None or queue.at is None else max(at, queue.at)


def today(queue: Queue, at: datetime, clinic: Clinic) -> date:
    """The open day; a clock set back does not open a second one."""
    day = clinic.day(at)
    return day if queue.day is None else max(day, queue.day)


def is_over(queue: Queue, clinic: Clinic, now: datetime) -> bool:
    """Whether the open day may be closed without anyone asking: it is past, or everyone has gone home.

    That is when `close_after_minutes` have passed since the last service closed and since anything happened.
    """
    if queue.day is None:
        return False
    if queue.day < clinic.day(now):
        return True
    least = clinic.policy.close_after_minutes
    closed = clinic.minutes_since_closing(now)
    quiet = queue.at is None or now - queue.at >= timedelta(minutes=least)
    return closed is not None and closed >= least and quiet

"""Queue processes on each event log, alone on it or sharing it."""

from tests.fixtures.queue.processes import *  # noqa: F403

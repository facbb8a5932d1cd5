"""The queue: what can be asked of it, what it answers, what it has become.

    decision = decide(queue, command, clinic)
    for recorded in decision.recorded(queue.version, command):
        queue = evolve(queue, recorded)

Nothing is changed in place, so a caller may go on from the new queue while the events are being written, and drop it
if the write fails.
"""

from mediq.actors.queue.rules.decide import Decision, decide
from mediq.actors.queue.rules.evolve import evolve
from mediq.actors.queue.rules.snapshot import UnreadableSnapshot, dump, load
from mediq.actors.queue.rules.state import EMPTY, Queue

__all__ = ["EMPTY", "Decision", "Queue", "UnreadableSnapshot", "decide", "dump", "evolve", "load"]

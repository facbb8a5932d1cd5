"""The rules of the queue in one place::

    decision = decide(queue, command, given, clinic)
    for recorded in decision.recorded(queue.version):
        queue = evolve(queue, recorded)

Nothing is changed in place. A caller may continue from the new queue while the events are being written, and drop it
if the write fails.
"""

from mediq.actors.queue.rules.decide import Decision, decide
from mediq.actors.queue.rules.evolve import evolve
from mediq.actors.queue.rules.snapshot import UnreadableSnapshot, dump, load
from mediq.actors.queue.rules.state import EMPTY, Queue

__all__ = ["EMPTY", "Decision", "Queue", "UnreadableSnapshot", "decide", "dump", "evolve", "load"]

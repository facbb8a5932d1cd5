"""The transport inside one process: bounded mailboxes of encoded frames, dead letters, topics.

Its messages are lost when the process dies; what must survive is written to a store before the reply.
"""

from mediq.transport.memory.transport import MemoryBroker, MemoryTransport

__all__ = ["MemoryBroker", "MemoryTransport"]

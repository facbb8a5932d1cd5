"""How log lines reach standard error: those of one turn of the loop in one write."""

import asyncio
import atexit
import threading
from typing import TextIO


class Stderr:
    """Writes lines soon: a busy gateway tells one a request, and a write for each costs more than the line itself.

    What is a warning or worse is written at once, with all that was told before it, and so is what is told outside of a
    loop. The end of the process loses nothing; what kills it loses what was told in that very turn.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._flushed_by: asyncio.AbstractEventLoop | None = None
        self._lock = threading.RLock()  # a finaliser may tell something while we write
        atexit.register(self.flush)

    def info(self, line: str) -> None:
        """Write a line by the end of this turn of the loop."""
        self._lines.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if loop is not self._flushed_by:
            self._flushed_by = loop
            loop.call_soon(self.flush)

    def warning(self, line: str) -> None:
        """Write a line now."""
        self._lines.append(line)
        self.flush()

    debug = info
    error = critical = warning

    def flush(self) -> None:
        """Write all that has not been written yet."""
        with self._lock:  # in the order of telling, whichever thread told it
            self._flushed_by = None
            if count := len(self._lines):
                lines = self._lines[:count]
                del self._lines[:count]
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()

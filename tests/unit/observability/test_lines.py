"""Lines go out together, in order, and none is lost."""

import asyncio
import io
import subprocess
import sys
from contextlib import suppress

import pytest

from mediq.observability.lines import Stderr


class Counting(io.StringIO):
    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


async def test_those_of_one_turn_go_out_in_one_write() -> None:
    stream = Counting()
    lines = Stderr(stream)
    for number in range(3):
        lines.info(str(number))
    assert stream.writes == 0
    await asyncio.sleep(0)
    assert (stream.writes, stream.getvalue()) == (1, "0\n1\n2\n")
    lines.info("3")
    await asyncio.sleep(0)
    assert (stream.writes, stream.getvalue()) == (2, "0\n1\n2\n3\n")


async def test_a_warning_goes_out_at_once_behind_what_came_before() -> None:
    stream = io.StringIO()
    lines = Stderr(stream)
    lines.info("first")
    lines.warning("second")
    assert stream.getvalue() == "first\nsecond\n"


def test_outside_of_a_loop_every_line_goes_out_at_once() -> None:
    stream = io.StringIO()
    lines = Stderr(stream)
    lines.info("told")
    assert stream.getvalue() == "told\n"


def test_a_loop_that_has_ended_holds_nothing_up() -> None:
    stream = io.StringIO()
    lines = Stderr(stream)

    async def tell(line: str, turns: int) -> None:
        lines.info(line)
        for _ in range(turns):
            await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    with suppress(RuntimeError):  # stopped before it came to its next turn
        loop.call_soon(loop.stop)
        loop.run_until_complete(tell("in the last turn of one", turns=9))
    loop.close()
    asyncio.run(tell("in another", turns=1))
    assert stream.getvalue() == "in the last turn of one\nin another\n"


async def test_lines_from_threads_are_whole() -> None:
    stream = io.StringIO()
    lines = Stderr(stream)

    def tell() -> None:
        for _ in range(500):
            lines.info("a line of some length")

    telling = [asyncio.to_thread(tell) for _ in range(4)]
    for thread in asyncio.as_completed(telling):
        tell()
        await thread
    await asyncio.sleep(0)
    assert stream.getvalue() == "a line of some length\n" * 8 * 500


@pytest.mark.parametrize("end", ["raise RuntimeError", "sys.exit(3)", "asyncio.get_running_loop().stop()"])
def test_the_end_of_the_process_loses_none(end: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from mediq.observability import logging\n"
        "logging.configure_logging('json', 'info', dict)\n"
        "async def main():\n"
        "    logging.logger('test').info('the last')\n"
        f"    {end}\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert '"event": "the last"' in ended.stderr

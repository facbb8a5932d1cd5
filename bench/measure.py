"""Shared by the benches: rounds that take turns, medians with their spread, serving processes, wrk, the machine.

The sides of a comparison take turns within one run, so that a ratio holds although the machine is shared: it is the
median of the rounds' own ratios, not the ratio of two medians.
"""

import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from mediq.observability import logging
from mediq.runtime.context import headers_now

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parent.parent
CONNECTIONS: Final = 64
"""The default number of concurrent clients."""


def take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The results of each side in each round. Sides take turns, every second round in the opposite order."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name].append(sides[name]())
    return found


def show(
    title: str, unit: str, found: Mapping[str, Sequence[float]], *, goals: Mapping[str, str] | None = None
) -> None:
    """Print a comparison: medians, least and most, and ratios to the first side, which is the reference."""
    reference = next(iter(found.values()))
    print(f"\n{title}\n{'':44}{unit:>12}  {'least–most':>19}  {'ratio':>6}  {'least–most':>11}")
    for name, values in found.items():
        ratios = [value / other for value, other in zip(values, reference, strict=True)]
        goal = f"   goal {goals[name]}" if goals and name in goals else ""
        print(
            f"  {name:42}{number(statistics.median(values)):>12}  {f'{number(min(values))}–{number(max(values))}':>19}"
            f"  {statistics.median(ratios):6.3f}  {f'{min(ratios):.2f}–{max(ratios):.2f}':>11}{goal}",
            flush=True,
        )


def number(value: float) -> str:
    """A number with its significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


class Load(NamedTuple):
    """What wrk measured: requests, requests a second, and the median and 99th percentile latency in milliseconds."""

    requests: int
    rate: float
    half: float
    tail: float


def wrk(
    url: str,
    seconds: float,
    *,
    connections: int = CONNECTIONS,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Load:
    """Run wrk over `connections` for whole `seconds`. Every answer must be a success."""
    lines = [f"wrk.method = {_lua(method)}", f"wrk.body = {_lua(body.decode())}" if body else ""]
    lines += [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in (headers or {}).items()]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        many = ("-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout=30s", "--latency")
        said = subprocess.run(["wrk", *many, "-s", script.name, url], capture_output=True, text=True, check=True).stdout
    count, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec:\s+([\d.]+)", said)
    if "Non-2xx" in said or "Socket errors" in said or count is None or rate is None:
        raise RuntimeError(f"not every request was answered well:\n{said}")
    found = {share: _milliseconds(text) for share, text in re.findall(r"^\s+(50|99)%\s+(\S+)\s*$", said, re.MULTILINE)}
    return Load(int(count[1]), float(rate[1]), found["50"], found["99"])


def _lua(text: str) -> str:
    """A string literal of Lua, which for plain letters equals JSON's."""
    return msgspec.json.encode(text).decode()


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def have_wrk() -> bool:
    return shutil.which("wrk") is not None


class Served(NamedTuple):
    """A serving process, and the words of its ready line, such as its port."""

    pid: int
    said: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.said}"


@contextmanager
def serving(
    *command: str | Path, env: Mapping[str, str] | None = None, program: str | Path = sys.executable
) -> Iterator[Served]:
    """A process, by default of this Python, that is ended with the block; it prints `ready ...` when it serves.

    What it writes to standard error goes to a file, as a service's log does.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(program), *map(str, command)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("ready"):
                    break
            else:
                log.seek(0)
                raise RuntimeError(f"{' '.join(map(str, command))} did not start:\n{log.read().decode()[-4000:]}")
            yield Served(process.pid, line.removeprefix("ready").strip())
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def quiet() -> None:
    """Log as an application does by default, for benches that run parts of it in their own process."""
    logging.configure_logging("console", "info", headers_now)


def report(value: object) -> None:
    """Print the measurements of a separate process as its last line; see :func:`measured`."""
    print("measured " + msgspec.json.encode(value).decode(), flush=True)


def measured(*command: str | Path) -> dict[str, float]:
    """The measurements that a separate Python process has reported at its end."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("measured "))
    return msgspec.json.decode(line.removeprefix("measured "), type=dict[str, float])


def resident(pid: int | None = None) -> float:
    """The resident memory of a process, in MB (Linux)."""
    status = Path(f"/proc/{pid or 'self'}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def cpu(pid: int) -> float:
    """The CPU that a process has used so far, in seconds (Linux)."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def costing(pid: int, work: Callable[[], T]) -> tuple[T, float]:
    """The result of `work`, and the process's CPU meanwhile, in seconds."""
    before = cpu(pid)
    return work(), cpu(pid) - before


def machine() -> str:
    """A line about this machine and its load."""
    model = "unknown processor"
    if (info := Path("/proc/cpuinfo")).exists():
        model = next((line.partition(":")[2].strip() for line in info.open() if line.startswith("model name")), model)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; load average {load:.1f}"
        + (" (the machine is busy with other things: only ratios mean something)" if load > 0.5 else "")
    )

"""How long a start takes until the first answer, and the memory used then.

    python bench/start.py [--rounds 5]

`python -m mediq --role all` starts on an empty and on an existing data folder; the reference is a bare aiohttp server.
A start ends when `/ready` answers 200. CPU and memory are measured at that moment, while the card reader still loads in
the background; memory is measured again when the reader is ready. Modules are compiled beforehand, as an installation
does.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # this folder: its queue.py would shadow the standard library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import compileall
import http.client
import json
import subprocess
import tempfile
import time

from bench.measure import ROOT, cpu, machine, resident, show
from tests.fixtures.application import CLINIC, environment, made_with_admin
from tests.fixtures.ports import free_port

BARE, FIRST, AGAIN = "bare aiohttp", "mediq, first start", "mediq, another start"
LATER = "mediq, its card reader loaded"
PATIENCE = 60.0
BARE_SERVER = """
import sys, uvloop
from aiohttp import web
async def answer(request): return web.json_response({"ready": True})
app = web.Application()
app.router.add_get("/ready", answer)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None)
"""


def start(name: str, base: Path) -> tuple[float, float, float, float]:
    """Seconds and CPU seconds to the first answer; memory then, and when everything is loaded, in MB."""
    port = free_port()
    folder = base / "data"
    if name == AGAIN:
        made_with_admin(base)
    (base / "config.toml").write_text(f'{CLINIC}\n[http]\nhost = "127.0.0.1"\n')
    command = [sys.executable, "-m", "mediq", "--port", str(port)]
    if name == BARE:
        command = [sys.executable, "-c", BARE_SERVER, str(port)]
    with tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=base, env=environment(folder), stdout=log, stderr=log)
        try:
            _wait(port, "/ready")
            took, spent, held = time.perf_counter() - begun, cpu(process.pid), resident(process.pid)
            if name != BARE:
                _wait(port, "/health", status="up")
            return took, spent, held, resident(process.pid)
        finally:
            process.kill()
            process.wait()


def _wait(port: int, path: str, **wanted: str) -> None:
    """Ask every few milliseconds until the answer is 200 and contains `wanted`."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200 and wanted.items() <= json.loads(body).items():
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    raise TimeoutError(path)


def run(rounds: int = 5) -> None:
    compileall.compile_dir(ROOT / "mediq", quiet=1)
    seconds: dict[str, list[float]] = {BARE: [], FIRST: [], AGAIN: []}
    costs: dict[str, list[float]] = {BARE: [], FIRST: [], AGAIN: []}
    memory: dict[str, list[float]] = {BARE: [], FIRST: [], AGAIN: [], LATER: []}
    for _ in range(rounds):
        for name in seconds:
            with tempfile.TemporaryDirectory() as base:
                took, spent, held, later = start(name, Path(base))
            seconds[name].append(took)
            costs[name].append(spent)
            memory[name].append(held)
            if name == AGAIN:
                memory[LATER].append(later)
    show("Start to the first answer", "seconds", seconds, goals=dict.fromkeys((FIRST, AGAIN), "≤ 1.5 s"))
    show("The same, as CPU", "seconds", costs)
    show("Resident memory at the first answer", "MB", memory, goals=dict.fromkeys((FIRST, AGAIN), "< 120 MB"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(machine())
    run(given.rounds)


if __name__ == "__main__":
    main()

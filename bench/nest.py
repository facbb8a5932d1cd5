"""NestJS, the stack that MediQ replaces, as a reference; measured where Node and npm are installed."""

import shutil
import subprocess
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Final

from bench.measure import ROOT, Served, serving
from tests.fixtures.ports import free_port

_PEERS: Final = ROOT / "bench" / "peers"
_INSTALLED: Final = ROOT / ".venv" / "peers"
ADAPTERS: Final = ("express", "fastify")


@cache
def installed() -> bool:
    """Whether NestJS is there; installs it once, or prints why it cannot."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        print("NestJS is left out: there is no npm")
        return False
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "nest.js"):
        shutil.copy(_PEERS / name, _INSTALLED / name)
    command = [npm, "install", "--no-audit", "--no-fund", "--silent"]
    if subprocess.run(command, cwd=_INSTALLED, capture_output=True).returncode:
        print("NestJS is left out: npm could not install it")
        return False
    return True


def _serving(*words: str) -> AbstractContextManager[Served]:
    return serving(_INSTALLED / "nest.js", *words, program=Path(shutil.which("node") or "node"))


def alone(adapter: str) -> AbstractContextManager[Served]:
    """A handler of NestJS, with no broker."""
    return _serving("alone", str(free_port()), adapter)


def gateway(adapter: str, url: str) -> AbstractContextManager[Served]:
    """A NestJS gateway that asks over its RabbitMQ transport."""
    return _serving("gateway", str(free_port()), adapter, url)


def service(url: str) -> AbstractContextManager[Served]:
    """The NestJS service that answers over the RabbitMQ transport."""
    return _serving("service", url)

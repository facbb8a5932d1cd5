"""The entry point: arguments, signals and the event loop."""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec

from mediq import config
from mediq.config import ConfigError, Settings
from mediq.observability import logging
from mediq.runtime import garbage_collection as collector
from mediq.runtime.context import headers_now


def main(arguments: list[str] | None = None) -> int:
    """Run MediQ with these command-line arguments (default: `sys.argv`).

    Returns the exit status: 0 after an orderly end (also by Ctrl-C while serving), 2 for wrong settings, 130 after
    Ctrl-C in another command, 1 for any other failure.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = config.load(options.config)
        if options.port is not None:
            if not 0 <= options.port <= 65_535:
                raise ConfigError(f"--port must be 0 to 65535, not {options.port}.")
            settings = msgspec.structs.replace(settings, http=msgspec.structs.replace(settings.http, port=options.port))
        logging.configure_logging(settings.log.format, settings.log.level, headers_now)
        return _command(options, settings) if options.command else _run(settings, options.role)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not isinstance(error, (ConfigError, OSError, sqlite3.Error, *_explained_errors())):
            raise
        print(f"mediq: {error}", file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, ConfigError) else 1


def _explained_errors() -> tuple[type[Exception], ...]:
    """Errors whose message explains them without a traceback; imported only after a failure."""
    from mediq.messages.errors import Fault
    from mediq.runtime.supervisor import Escalated
    from mediq.stores.sqlite_file import UnknownSchema

    return Escalated, Fault, UnknownSchema


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mediq", description="The front desk of a clinic in one executable.")
    parser.add_argument("--role", default="all", help="all, or gateway, user, ocr, queue; several with commas")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.toml, if it exists)")
    parser.add_argument("--port", type=int, metavar="N", help="the gateway's port; overrides PORT and config.toml")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    scan = commands.add_parser("scan", help="read cards from pictures and exit")
    scan.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    scan.add_argument("--json", action="store_true", help="one JSON object a line")
    admin = commands.add_parser("admin", help="administrators").add_subparsers(dest="admin", required=True)
    create = admin.add_parser("create", help="make an ADMIN_FASKES")
    create.add_argument("email")
    create.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    commands.add_parser("check", help="check settings and connections")
    for name, help in (("backup", "copy everything into FILE"), ("restore", "lay FILE into an empty data folder")):
        commands.add_parser(name, help=help).add_argument("file", type=Path)
    return parser


def _command(options: argparse.Namespace, settings: Settings) -> int:
    from mediq import cli

    match options.command:
        case "scan":
            return cli.scan(settings, options.images, as_json=options.json)
        case "admin":
            return cli.create_admin(settings, options.email, password_stdin=options.password_stdin)
        case "check":
            return cli.check(settings)
        case "backup":
            return cli.backup(settings, options.file)
        case _:
            return cli.restore(settings, options.file)


def _run(settings: Settings, role: str) -> int:
    collector.rest()
    from mediq.data_dir import hold_folder
    from mediq.process_roles import is_embedded, parse_roles

    wanted = parse_roles(role)
    _allow_many_files()
    with ExitStack() as held:
        if is_embedded(settings, wanted):
            held.callback(hold_folder(settings.folder).release)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, wanted))


def _allow_many_files() -> None:
    """Raise the limit of open files: each event stream needs one, and many systems allow only 1,024 by default."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(settings: Settings, wanted: frozenset[str]) -> int:
    from mediq.app import Application

    supervisor = Application(settings, wanted).supervisor()
    loop = asyncio.get_running_loop()
    stopping: asyncio.Task[None] | None = None

    def stop() -> None:
        nonlocal stopping
        if stopping is not None:
            os._exit(1)  # a second signal does not wait
        stopping = loop.create_task(supervisor.stop())

    for number in (signal.SIGINT, signal.SIGTERM):
        if sys.platform == "win32":
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
        else:
            loop.add_signal_handler(number, stop)
    await supervisor.start()
    collector.settle()
    logging.logger("main").info("started", roles=sorted(wanted), data=str(settings.folder))
    await supervisor.run()
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where uvloop is installed (everywhere except Windows), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


if __name__ == "__main__":
    sys.exit(main())

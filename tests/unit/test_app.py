"""The composition root: the supervised children of a process."""

from collections.abc import Iterator
from pathlib import Path

from mediq import config
from mediq.app import Application
from mediq.process_roles import PORTS
from mediq.runtime.cell import ActorCell
from mediq.runtime.supervisor import Child, Supervisor


def children_of(supervisor: Supervisor) -> Iterator[tuple[str, Child]]:
    """All children of a supervision tree with their names, made in the order in which they start."""
    for spec in supervisor.specs:
        child = spec.factory()
        yield spec.name, child
        if isinstance(child, Supervisor):
            yield from children_of(child)


async def test_every_supervised_child_of_a_process_has_a_unique_name(tmp_path: Path) -> None:
    application = Application(config.load(None, {"MEDIQ_DATA": str(tmp_path)}), frozenset(PORTS))
    children = list(children_of(application.supervisor()))
    names = [name for name, _ in children]
    assert sorted(set(names)) == sorted(names)
    actors = {name: child.actor.name for name, child in children if isinstance(child, ActorCell)}
    assert sorted(actors) == ["audit", "ocr", "queue", "reader", "user"]
    assert all(name == actor for name, actor in actors.items())

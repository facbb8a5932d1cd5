"""The README leaves out no route."""

import re
from pathlib import Path

import pytest

from mediq.http.routes import Route, table

NAMED = set(re.findall(r"`(/[^`]*)`", (Path(__file__).parents[2] / "README.md").read_text("utf-8")))


@pytest.mark.parametrize("route", table(open_registration=False), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_readme(route: Route) -> None:
    """In full, or by its last word behind another of the same kind."""
    assert {route.path, route.path[route.path.rindex("/") :]} & NAMED

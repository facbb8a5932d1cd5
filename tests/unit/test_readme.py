"""The README's table of routes names every route of the gateway, and no other."""

import re
from pathlib import Path

import pytest

from mediq.http.routes import Route, table
from tests.fixtures.gateway import pages, routes

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def named_routes(text: str) -> frozenset[str]:
    """Method and path of each route in the first column of a table; a method counts for all paths until the next."""
    found = set()
    for row in re.findall(r"^\|([^|]*)\|", text, re.MULTILINE):
        method = None
        for word, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE)\b|`(/[^`]*)`", row):
            method = word or method
            if path and method:
                found.add(f"{method} {path}")
    return frozenset(found)


@pytest.mark.parametrize("route", table(open_registration=False), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_readme(route: Route) -> None:
    assert f"{route.method} {route.path}" in named_routes(README)


def test_the_readme_names_no_route_that_is_not_served() -> None:
    assert named_routes(README) - routes() == set()


def test_the_readme_names_every_route_beside_the_table_too() -> None:
    assert routes() - pages() - named_routes(README) == set()


def test_a_path_under_another_method_is_another_route() -> None:
    assert named_routes("| GET `/a`, `/a/{id}`, POST `/b` | staff |") == {"GET /a", "GET /a/{id}", "POST /b"}

"""The document of the API: it is valid, describes every route, and its examples fit its schemas and the messages."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from mediq.actors.cards.messages import CardResult
from mediq.actors.users.auth_messages import SignedIn
from mediq.http.openapi import document
from mediq.http.openapi.components import HEADERS
from mediq.http.openapi.error_codes import CODES
from mediq.http.routes import Body, Cookie, Route, table
from mediq.messages.document import Document
from mediq.messages.registry import spec_named, spec_of
from tests.fixtures.application import ROOT
from tests.fixtures.client import Client
from tests.fixtures.gateway import pages, routes

TABLE = table(open_registration=False)
DOCUMENT: dict[str, Any] = json.loads(document(TABLE))
INTERNAL = {"id-taken", "session-taken", "ticket-exists"}
"""Codes that reach no caller: they concern random ids, and only stores raise them."""

each_route = pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")


def operation(route: Route) -> dict[str, Any]:
    return dict(DOCUMENT["paths"][route.path][route.method.lower()])


def resolved(tree: dict[str, Any]) -> dict[str, Any]:
    """The component that a reference names, or the tree itself."""
    if "$ref" not in tree:
        return tree
    found: Any = DOCUMENT
    for step in tree["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def examples(tree: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every example in this part of the document, with its schema."""
    if isinstance(tree, dict):
        if isinstance(tree.get("schema"), dict) and "example" in tree:
            yield tree["schema"], tree["example"]
        if isinstance(tree.get("examples"), list):
            yield from ((tree, example) for example in tree["examples"])
        for branch in tree.values():
            yield from examples(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from examples(branch)


def test_the_document_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []
    assert len(document(TABLE)) < 300_000


def test_it_describes_every_route_that_is_not_a_page() -> None:
    documented = {f"{method.upper()} {path}" for path, each in DOCUMENT["paths"].items() for method in each}
    assert documented == routes() - pages()
    assert {f"{route.method} {route.path}" for route in TABLE} <= documented


async def test_the_document_is_served(client: Client) -> None:
    served = await client.get("/openapi.json")
    assert (served.status, served.headers["Content-Type"]) == (200, "application/json")
    assert served.body == DOCUMENT


@each_route
def test_every_operation_has_a_summary_roles_and_path_parameters(route: Route) -> None:
    said = operation(route)
    assert said["summary"].endswith((".", "?")), said["summary"]
    assert not said["summary"].startswith("Internal"), "internal messages have no route"
    assert str(route.status) in said["responses"]
    assert said.get("x-roles") == (sorted(route.who) if route.who is not None else None)
    for name in re.findall(r"\{(\w+)\}", route.path):
        assert any(parameter.get("name") == name for parameter in said["parameters"])


@each_route
def test_the_example_of_a_request_can_be_sent(route: Route) -> None:
    if route.body is not Body.JSON:
        return
    said = operation(route)
    parameters = said.get("parameters", ())
    in_path = {each["name"]: each["example"] for each in parameters if each.get("in") == "path"}
    example = said["requestBody"]["content"]["application/json"]["example"] if "requestBody" in said else {}
    assert msgspec.convert({**example, **in_path}, route.message)


@each_route
def test_the_example_of_a_response_is_one_of_the_message(route: Route) -> None:
    reply = SignedIn if route.cookie is Cookie.GIVE else spec_of(route.message).reply
    answers = {status: resolved(answer) for status, answer in operation(route)["responses"].items() if status < "300"}
    for status, answer in answers.items():
        [(media_type, content)] = answer["content"].items()
        if media_type == "application/json":
            type_ = CardResult if (route.body, status) == (Body.CARD, "200") else reply
            msgspec.json.decode(json.dumps(content["example"]), type=type_, strict=True)
        else:
            assert msgspec.convert({"media_type": media_type, "content": b""}, reply) == Document(
                media_type=media_type, content=b""
            )


def test_every_time_has_an_offset() -> None:
    times = {
        (struct, name): json.dumps(of)
        for struct, schema in DOCUMENT["components"]["schemas"].items()
        for name, of in schema.get("properties", {}).items()
        if name == "at" or name.endswith("_at")
    }
    assert len(times) > 5
    assert [where for where, of in times.items() if '"date-time"' not in of] == []


def test_every_code_that_is_raised_has_one_meaning() -> None:
    source = "".join(file.read_text() for file in (ROOT / "mediq").rglob("*.py") if "pages" not in file.parts)
    raised = set(re.findall(r'\bcode(?:: ClassVar\[str\])? ?= ?"([a-z-]+)"', source))
    known = [code for codes in CODES.values() for code in codes]
    assert len(known) == len(set(known))
    assert raised - set(known) <= INTERNAL | {"refused", "fault", "internal", "conflict"}


def test_every_code_names_routes_that_there_are() -> None:
    named = {each for codes in CODES.values() for error in codes.values() for each in error.routes}
    paths = {each for each in named if each.startswith("/")}
    assert [path for path in paths if not any(route.path.startswith(path) for route in TABLE)] == []
    assert [pattern for pattern in named - paths if spec_named(pattern) is None] == []


def test_every_example_fits_its_schema() -> None:
    schemas = {"components": {"schemas": DOCUMENT["components"]["schemas"]}}
    wrong = [
        f"{example!r}: {error.message}"
        for schema, example in examples(DOCUMENT)
        for error in OAS31Validator(schema | schemas).iter_errors(example)
    ]
    assert wrong == []


def test_no_example_is_a_mere_placeholder() -> None:
    assert [
        example for _, example in examples(DOCUMENT) if "contoh" in re.findall(r'"([^"]*)"', json.dumps(example))
    ] == []


async def test_the_headers_it_names_are_sent(admin: Client) -> None:
    answered = await admin.get("/users?limit=1")
    said = operation(next(route for route in TABLE if (route.method, route.path) == ("GET", "/users")))
    assert [name for name in resolved(said["responses"]["200"])["headers"] if name not in answered.headers] == []
    refused = await Client(admin.http).get("/users")
    assert [name for name in resolved(said["responses"]["401"])["headers"] if name not in refused.headers] == []


async def test_event_streams_answer_as_described(client: Client, admin: Client) -> None:
    """Only status and media type: streams never end, so the generated requests leave them out."""
    for path, who, status in (
        ("/events/board/{board}", client, 200),
        ("/events/operator", admin, 200),
        ("/events/operator", client, 401),
        ("/events/ticket/{token}", client, 404),
    ):
        said = DOCUMENT["paths"][path]["get"]
        examples = {each["name"]: each["example"] for each in said["parameters"] if "name" in each}
        async with client.http.get(path.format(**examples), headers=who.bearer) as answered:
            assert answered.status == status
            [media_type] = resolved(said["responses"][str(status)])["content"]
            assert answered.content_type == media_type


def test_every_header_that_it_refers_to_exists() -> None:
    referred = set(re.findall(r"#/components/headers/([\w-]+)", json.dumps(DOCUMENT)))
    assert referred <= set(HEADERS)


class TestThePage:
    """`/docs`: the same document for people, from this server alone."""

    @pytest.mark.parametrize("language", ["id", "en"])
    async def test_it_shows_every_operation_and_every_code(self, client: Client, language: str) -> None:
        page = await client.get("/docs", headers={"Cookie": f"mediq_lang={language}", "Accept": "text/html"})
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        anchors = set(re.findall(r'\bid="([^"]+)"', page.body))
        operations = {each["operationId"] for of_path in DOCUMENT["paths"].values() for each in of_path.values()}
        assert operations | {f"code-{code}" for codes in CODES.values() for code in codes} <= anchors
        assert set(re.findall(r'href="#([^"]+)"', page.body)) <= anchors

    async def test_it_counts_against_the_rate_limit(self, client: Client) -> None:
        page = await client.get("/docs")
        assert int(page.headers["RateLimit-Remaining"]) < int(page.headers["RateLimit-Limit"])

    async def test_it_loads_nothing_from_elsewhere_and_has_nothing_inline(self, client: Client) -> None:
        page = await client.get("/docs")
        assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]
        loaded = re.findall(r'<(?:link|script|img)\b[^>]*\b(?:href|src)="([^"]+)"', page.body)
        assert loaded
        assert [address for address in loaded if not address.startswith("/static/")] == []
        for address in loaded:
            assert (await client.get(address)).status == 200
        assert not re.search(r"\bstyle=|\bon\w+=|<style", page.body)
        assert set(re.findall(r"<script\b([^>]*)>[^<]", page.body)) <= {' type="application/json" id="words"'}

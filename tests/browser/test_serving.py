"""Serving of pages: browsers get HTML, programs get JSON, and static files are cached by version."""

import re

import pytest

from tests.fixtures.client import Client

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_a_browser_gets_a_home_page_and_a_program_gets_json(client: Client) -> None:
    page = await client.get("/", headers=BROWSER)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Klinik Uji" in page.body
    assert (await client.get("/")).body["status"] == "up"


async def test_a_browser_reads_errors_as_pages(client: Client) -> None:
    page = await client.get("/no/such/page", headers=BROWSER)
    assert page.status == 404
    assert "Halaman tidak ditemukan" in page.body
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert (await client.get("/no/such/page")).problem == "not-found"
    refused = await client.get("/users", headers=BROWSER)
    assert (refused.status, "Belum masuk" in refused.body) == (401, True)


async def test_no_page_has_inline_scripts_or_styles(client: Client) -> None:
    """The content security policy refuses them, so that text on a page can never become code."""
    page = str((await client.get("/", headers=BROWSER)).body)
    for script in re.findall(r"<script[^>]*>", page):
        assert "src=" in script or "application/json" in script
    assert not re.findall(r"<style| style=| on[a-z]+=", page)


async def test_a_file_with_a_version_in_its_address_is_cached_for_good(client: Client) -> None:
    page = str((await client.get("/", headers=BROWSER)).body)
    [sheet] = re.findall(r'href="(/static/[0-9a-f]{12}/mediq\.css)"', page)
    first = await client.get(sheet)
    assert "immutable" in first.headers["Cache-Control"]
    again = await client.get(sheet, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, "")
    other = await client.get(re.sub("[0-9a-f]{12}", "0" * 12, sheet))
    assert (other.status, other.body) == (200, first.body)
    assert other.headers["Cache-Control"] == "no-cache"
    for missing in ("/static/none.css", f"{sheet}x", "/static/../web_pages.py", "/static/%2e%2e/web_pages.py"):
        assert (await client.get(missing)).status == 404, missing


@pytest.mark.parametrize(
    ("wish", "target"),
    [
        ("/kiosk", "/kiosk"),
        ("/t/abc?x=1", "/t/abc?x=1"),
        ("//elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("", "/"),
    ],
)
async def test_a_language_is_remembered_and_the_redirect_stays_on_this_site(
    client: Client, wish: str, target: str
) -> None:
    chosen = await client.get("/language/en", params={"next": wish}, allow_redirects=False)
    assert (chosen.status, chosen.headers["Location"]) == (303, target)
    assert "mediq_lang=en" in chosen.headers["Set-Cookie"]
    page = await client.get("/", headers=BROWSER | {"Cookie": "mediq_lang=en"})
    assert '<html lang="en"' in page.body
    assert (await client.get("/language/xx")).status == 404


async def test_the_language_is_indonesian_unless_chosen(client: Client) -> None:
    for headers in (BROWSER, BROWSER | {"Cookie": "mediq_lang=fr"}, BROWSER | {"Accept-Language": "en"}):
        assert '<html lang="id"' in (await client.get("/", headers=headers)).body

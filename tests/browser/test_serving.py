"""How pages are served: to browsers as pages, to programs as before, cached for as long as they hold."""

import re

import pytest

from tests.fixtures.desk import Desk

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_a_browser_gets_a_home_page_and_a_program_gets_json(desk: Desk) -> None:
    page = await desk.get("/", headers=BROWSER)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Klinik Uji" in page.body
    assert (await desk.get("/")).body["status"] == "up"


async def test_a_browser_reads_errors_as_pages(desk: Desk) -> None:
    page = await desk.get("/no/such/page", headers=BROWSER)
    assert page.status == 404
    assert "Halaman tidak ditemukan" in page.body
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert (await desk.get("/no/such/page")).problem == "not-found"
    refused = await desk.get("/users", headers=BROWSER)
    assert (refused.status, "Belum masuk" in refused.body) == (401, True)


async def test_no_page_runs_or_styles_anything_of_its_own(desk: Desk) -> None:
    """The browser would refuse it; what a page says must not be able to become code."""
    page = str((await desk.get("/", headers=BROWSER)).body)
    for script in re.findall(r"<script[^>]*>", page):
        assert "src=" in script or "application/json" in script
    assert not re.findall(r"<style| style=| on[a-z]+=", page)


async def test_what_carries_its_version_is_never_asked_for_again(desk: Desk) -> None:
    page = str((await desk.get("/", headers=BROWSER)).body)
    [sheet] = re.findall(r'href="(/static/[0-9a-f]{12}/mediq\.css)"', page)
    first = await desk.get(sheet)
    assert "immutable" in first.headers["Cache-Control"]
    again = await desk.get(sheet, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, "")
    other = await desk.get(re.sub("[0-9a-f]{12}", "0" * 12, sheet))
    assert (other.status, other.body) == (200, first.body)
    assert other.headers["Cache-Control"] == "no-cache"
    for missing in ("/static/none.css", f"{sheet}x", "/static/../site.py", "/static/%2e%2e/site.py"):
        assert (await desk.get(missing)).status == 404, missing


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
async def test_a_language_is_remembered_and_nobody_is_sent_elsewhere(desk: Desk, wish: str, target: str) -> None:
    chosen = await desk.get("/language/en", params={"next": wish}, allow_redirects=False)
    assert (chosen.status, chosen.headers["Location"]) == (303, target)
    assert "mediq_lang=en" in chosen.headers["Set-Cookie"]
    page = await desk.get("/", headers=BROWSER | {"Cookie": "mediq_lang=en"})
    assert '<html lang="en"' in page.body
    assert (await desk.get("/language/xx")).status == 404


async def test_the_language_is_indonesian_unless_chosen(desk: Desk) -> None:
    for headers in (BROWSER, BROWSER | {"Cookie": "mediq_lang=fr"}, BROWSER | {"Accept-Language": "en"}):
        assert '<html lang="id"' in (await desk.get("/", headers=headers)).body

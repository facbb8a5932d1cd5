"""The waiting-room board announces every call once and in order, whatever happens to the server or the page."""

import asyncio
import os
import signal
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from tests.fixtures.application import Application
from tests.fixtures.browser.counter import call, wait_in_line
from tests.fixtures.browser.screen import watched
from tests.fixtures.client import Client
from tests.fixtures.visitors import new_nik

pytestmark = pytest.mark.asyncio(loop_scope="session")

TONES = 6
"""Two strokes of the chime, of three partials each."""
REAL_MINUTE = "MEDIQ_REAL_MINUTE" in os.environ
"""Whether to wait a minute of real time instead of the page's clock."""

EVENTS = int(os.environ.get("MEDIQ_BOARD_EVENTS", "400"))
"""Events for which the memory of a board is watched; 10,000 take minutes."""
GROWTH = 1_000_000
"""Bytes of memory that a board may use in addition after these events, for the browser's own caches."""

CLIPS = """async (calls) => {
  const folder = document.documentElement.dataset.voice;
  const { sentence } = await import(new URL("../../voice.js", new URL(`${folder}/x`, location)).pathname);
  const recorded = new Set(await (await fetch(`${folder}/index.json`)).json());
  return calls.map(([ticket, counter]) => sentence(ticket, counter, recorded).map((each) => each.clip));
}"""


async def with_sound(page: Page, board: str = "all") -> None:
    """Open a board and tap it once. Returns when the board is connected and has sound."""
    await page.goto(f"/display/{board}")
    await expect(page.locator("#link")).to_have_text("Terhubung")
    await expect(page.locator("#sound")).to_be_visible()
    await page.click("#sound")
    await expect(page.locator("#sound")).to_be_hidden()


async def quiet(page: Page) -> None:
    """Return when all calls have been announced."""
    await expect(page.locator("#stage:not(.calling)")).to_be_visible(timeout=60_000)


async def test_five_calls_within_a_second_are_each_announced_once_and_in_order(staff: Client, page: Page) -> None:
    await wait_in_line(staff, "umum", 3)
    await wait_in_line(staff, "gigi", 2)
    await with_sound(page)
    for counter in ("1", "2", "3"):  # no patient is left from another test
        await staff.post(f"/queue/counters/{counter}/open")
    called = [(await call(staff, counter), f"Loket {counter}") for counter in ("1", "2", "3", "1", "3")]
    await expect(page.locator("#number")).to_have_text(called[0][0])
    heard = [number for number, _ in called]
    await page.wait_for_function("(most) => window.heard.calls.length >= most", arg=len(heard), timeout=60_000)
    await quiet(page)
    assert await page.evaluate("window.heard.calls") == heard
    spoken = await page.evaluate(CLIPS, [list(each) for each in called])
    assert await page.evaluate("window.heard.clips") == sum(map(len, spoken))
    assert await page.evaluate("window.heard.tones") == TONES * len(called)
    await expect(page.locator("#number")).to_have_text(heard[-1])
    await expect(page.locator("#counter")).to_have_text("Loket 3")
    assert (await page.locator("#last .number").all_text_contents())[:4] == heard[-2::-1]


async def a_minute(page: Page) -> None:
    """Let a minute pass on the page's clock, second by second, while its requests take real time."""
    for _ in range(60):
        if REAL_MINUTE:
            await asyncio.sleep(1)
        else:
            await page.clock.run_for(1000)


async def test_a_board_survives_a_minute_without_server_and_never_repeats_a_sound(
    chromium: Browser, staff: Client, clinic: Application
) -> None:
    await wait_in_line(staff, "gigi", 2)
    async with watched(chromium, clinic.address) as page:
        if not REAL_MINUTE:
            await page.clock.install()
        await with_sound(page, "gigi")
        first = await call(staff, "3")
        await page.wait_for_function("() => window.heard.calls.length === 1")
        await page.wait_for_function("() => window.heard.clips > 0")
        before = await page.evaluate("window.heard")
        clinic.kill()
        await expect(page.locator("#link")).to_have_text("Terputus", timeout=30_000)
        await a_minute(page)
        await expect(page.locator("#number")).to_have_text(first)
        clinic.start()
        await staff.ready()
        if not REAL_MINUTE:
            await page.clock.run_for(2000)
        await expect(page.locator("#link")).to_have_text("Terhubung", timeout=5000)
        again = await call(staff, "3")
        await page.wait_for_function("() => window.heard.calls.length === 2")
        if not REAL_MINUTE:
            await page.clock.run_for(15_000)
        await quiet(page)
        after = await page.evaluate("window.heard")
        assert after["calls"] == [first, again]
        assert after["tones"] == 2 * before["tones"] == 2 * TONES


async def test_a_board_notices_a_server_that_falls_silent(chromium: Browser, clinic: Application) -> None:
    async with watched(chromium, clinic.address) as page:
        await page.clock.install()
        await page.goto("/display/all")
        await expect(page.locator("#link")).to_have_text("Terhubung")
        clinic.signal(signal.SIGSTOP)
        try:
            await page.clock.run_for(25_000)
            await expect(page.locator("#link")).to_have_text("Terputus")
        finally:
            clinic.signal(signal.SIGCONT)
        await page.clock.run_for(6000)
        await expect(page.locator("#link")).to_have_text("Terhubung", timeout=5000)


async def test_a_call_during_an_interruption_is_announced_afterwards(page: Page, staff: Client) -> None:
    """Only if the patient has not come, and never a call that was announced before, not even after a reload."""
    await wait_in_line(staff, "gigi", 2)
    await page.goto("/display/gigi")
    await expect(page.locator("#link")).to_have_text("Terhubung")
    first = await call(staff, "3")
    await page.wait_for_function("() => window.heard.calls.length === 1")
    await page.reload()
    await expect(page.locator("#link")).to_have_text("Terhubung")
    await expect(page.locator("#number")).to_have_text(first)
    assert await page.evaluate("window.heard.calls") == []
    await page.context.set_offline(True)
    await page.evaluate("window.dispatchEvent(new Event('online'))")  # ends the stream, as a pulled cable does
    await expect(page.locator("#link")).to_have_text("Terputus")
    missed = await call(staff, "3")
    await page.context.set_offline(False)
    await page.wait_for_function("() => window.heard.calls.length === 1", timeout=5000)
    assert await page.evaluate("window.heard.calls") == [missed]
    recalled = (await staff.get("/queue", params={"counter": "3"})).body["data"][0]
    assert (await staff.patch(f"/queue/{recalled['id']}/recall")).status == 200
    await page.wait_for_function("() => window.heard.calls.length === 2")
    assert await page.evaluate("window.heard.calls") == [missed, missed]
    await page.goto("about:blank")  # as while the page reloads
    assert (await staff.patch(f"/queue/{recalled['id']}/recall")).status == 200
    await page.goto("/display/gigi")
    await page.wait_for_function("() => window.heard.calls.length === 1")
    await page.reload()
    await expect(page.locator("#link")).to_have_text("Terhubung")
    await expect(page.locator("#number")).to_have_text(missed)
    assert await page.evaluate("window.heard.calls") == []


async def test_nothing_blinks_where_reduced_motion_is_preferred(
    chromium: Browser, clinic: Application, staff: Client
) -> None:
    await wait_in_line(staff, "gigi", 1)
    async with watched(chromium, clinic.address, reduced_motion="reduce") as page:
        await page.goto("/display/gigi")
        await expect(page.locator("#link")).to_have_text("Terhubung")
        await call(staff, "3")
        await page.wait_for_selector("#stage.calling")
        moving = await page.evaluate("document.getAnimations().filter((each) => each.playState === 'running').length")
        assert moving == 0


async def test_a_board_shows_the_clinics_time_and_not_the_televisions(chromium: Browser, clinic: Application) -> None:
    async with watched(chromium, clinic.address, timezone_id="America/New_York") as page:
        await page.clock.install(time="2020-02-02T02:02:02")
        await page.goto("/display/all")
        await expect(page.locator("#link")).to_have_text("Terhubung")
        shown = {datetime.now(ZoneInfo("Asia/Jakarta")).strftime("%H:%M")}
        shown.add((datetime.now(ZoneInfo("Asia/Jakarta")) - timedelta(seconds=30)).strftime("%H:%M"))
        assert await page.inner_text("#time") in shown
        assert str(datetime.now(ZoneInfo("Asia/Jakarta")).year) in await page.inner_text("#date")


async def test_a_board_shows_no_names_and_an_unknown_board_is_not_found(page: Page, staff: Client) -> None:
    nik = new_nik()
    await staff.queue(await staff.register(nik, "RAHMAT PAPAN"), service="umum")
    await page.goto("/display/umum")
    await expect(page.locator("#link")).to_have_text("Terhubung")
    content = await page.content()
    assert "RAHMAT" not in content
    assert nik not in content
    missing = await page.goto("/display/kandungan")
    assert missing is not None
    assert missing.status == 404
    await expect(page.locator("h1")).to_have_text("Halaman tidak ditemukan")


async def offer(staff: Client, *, laboratory: bool) -> None:
    """Add a laboratory to the clinic's two services, or remove it."""
    clinic = (await staff.get("/clinic")).body
    services = [{key: each[key] for key in ("id", "name", "letter")} for each in clinic["services"][:2]]
    counters = [{key: each[key] for key in ("id", "name", "services")} for each in clinic["counters"][:3]]
    if laboratory:
        services.append({"id": "lab", "name": "Laboratorium", "letter": "L"})
        counters.append({"id": "lab", "name": "Meja darah", "services": ["lab"]})
    configuration = {"name": clinic["name"], "timezone": clinic["timezone"], "services": services, "counters": counters}
    changed = await staff.ask("PUT", "/clinic", json=configuration)
    assert changed.status == 200, changed


async def test_a_board_whose_service_was_removed_waits_until_it_is_back(page: Page, staff: Client) -> None:
    await offer(staff, laboratory=True)
    try:
        await page.clock.install()
        await page.goto("/display/lab")
        await expect(page.locator("#link")).to_have_text("Terhubung")
        await page.context.set_offline(True)
        await page.evaluate("window.dispatchEvent(new Event('online'))")
        await expect(page.locator("#link")).to_have_text("Terputus")
        await offer(staff, laboratory=False)
        async with page.expect_response(lambda response: response.status == 404):
            await page.context.set_offline(False)
            await page.clock.run_for(2000)
        await expect(page.locator("#waiting")).to_contain_text("Laboratorium")
        await offer(staff, laboratory=True)
        await page.clock.run_for(40_000)
        await expect(page.locator("#link")).to_have_text("Terhubung")
    finally:
        await offer(staff, laboratory=False)


async def test_the_running_text_is_the_notice_of_the_clinic(page: Page, staff: Client) -> None:
    await page.goto("/display/all")
    await expect(page.locator("#notice")).to_contain_text("Mohon siapkan e-KTP")
    clinic = (await staff.get("/clinic")).body
    configuration = {
        "name": clinic["name"],
        "timezone": clinic["timezone"],
        "services": [{key: each[key] for key in ("id", "name", "letter")} for each in clinic["services"]],
        "counters": [{key: each[key] for key in ("id", "name", "services")} for each in clinic["counters"]],
    }
    try:
        saved = await staff.ask("PUT", "/clinic", json=configuration | {"notice": "Poli Gigi libur hari Jumat."})
        assert saved.status == 200, saved
        await expect(page.locator("#notice")).to_have_text("Poli Gigi libur hari Jumat.")
        await page.reload()
        await expect(page.locator("#notice")).to_have_text("Poli Gigi libur hari Jumat.")
    finally:
        await staff.ask("PUT", "/clinic", json=configuration)
    await expect(page.locator("#notice")).to_contain_text("Mohon siapkan e-KTP")


async def events(staff: Client, ticket_id: str, count: int) -> None:
    """Cause this number of events, many at once: tickets are held and resumed again and again."""
    for _ in range(count // 2):
        assert (await staff.patch(f"/queue/{ticket_id}/hold")).status == 200
        assert (await staff.patch(f"/queue/{ticket_id}/resume")).status == 200


async def held(page: Page, tools: CDPSession) -> dict[str, float]:
    """The page's elements and memory after a garbage collection."""
    await page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
    await tools.send("HeapProfiler.collectGarbage")
    await tools.send("Performance.enable")
    metrics = (await tools.send("Performance.getMetrics"))["metrics"]
    return {each["name"]: each["value"] for each in metrics}


async def test_a_board_does_not_grow_with_the_number_of_events(
    chromium: Browser, clinic: Application, staff: Client
) -> None:
    """After hundreds of events it has as many elements as before, and hardly more memory."""
    async with watched(chromium, clinic.address) as page:
        tools = await page.context.new_cdp_session(page)
        await page.goto("/display/all")
        await expect(page.locator("#link")).to_have_text("Terhubung")
        ticket = await staff.queue(await staff.register(new_nik()), service="gigi")
        await events(staff, ticket["id"], 200)
        before = await held(page, tools)
        await events(staff, ticket["id"], EVENTS)
        after = await held(page, tools)
        await staff.delete(f"/queue/{ticket['id']}")
    assert after["Nodes"] <= before["Nodes"] + 5
    assert after["JSEventListeners"] <= before["JSEventListeners"]
    assert after["JSHeapUsedSize"] < before["JSHeapUsedSize"] + GROWTH

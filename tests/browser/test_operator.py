"""The operator's page: by keyboard alone, beside other counters, and without the network."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.browser.screen import intercept
from tests.fixtures.browser.staff_window import check_accessibility, in_english, signed_in
from tests.fixtures.client import PASSWORD, Client, client_at
from tests.fixtures.visitors import new_nik

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = ".now .number"


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application whose queue only this module uses."""
    base = tmp_path_factory.mktemp("hall")
    made_with_admin(base)
    with running(base, GENEROUS) as application:
        yield application
        assert application.stop() == 0, application.log


@pytest_asyncio.fixture(loop_scope="session")
async def admin(hall: Application) -> AsyncIterator[Client]:
    """The administrator, with an empty queue."""
    async with client_at(hall) as client:
        await client.ready()
        admin = await client.sign_in()
        for ticket in (await admin.get("/queue")).body["data"]:
            if ticket["status"] not in ("COMPLETED", "CANCELLED", "NO_SHOW"):
                await admin.delete(f"/queue/{ticket['id']}")
        yield admin


async def queue(admin: Client, people: int, **more: str) -> list[str]:
    """Let `people` patients take a number. Returns the numbers."""
    return [(await admin.queue(await admin.register(new_nik(), "SITI UJI"), **more))["number"] for _ in range(people)]


async def sit_down(page: Page, counter: str = "Loket 1") -> None:
    """Choose a counter. Returns when the page is connected."""
    await page.goto("/operator")
    await expect(page.locator("#link")).to_have_text("Terhubung")
    await page.locator(f"#counters button:has-text('{counter}')").click()
    await expect(page.locator("#counter")).to_have_text(counter)


async def call(page: Page) -> None:
    """Call the next patient as soon as the counter can."""
    await expect(page.locator("[data-act=call]")).to_have_attribute("aria-disabled", "false")
    await page.keyboard.press("Space")


async def press(page: Page, key: str) -> None:
    """Press a key as soon as the counter accepts it: the event of an act may arrive before its answer."""
    await expect(page.locator("#desk [data-act][aria-disabled=true]")).to_have_count(0)
    await page.keyboard.press(key)


async def status(admin: Client, number: str) -> tuple[str, str | None]:
    """The status and the counter of a number of today."""
    for status in ("WAITING", "CALLED", "IN_PROGRESS", "COMPLETED", "NO_SHOW", "ON_HOLD", "CANCELLED"):
        for ticket in (await admin.get("/queue", params={"status": status})).body["data"]:
            if ticket["number"] == number:
                return status, ticket["counter"]
    raise AssertionError(f"there is no {number}")


async def test_a_counters_day_by_keyboard_alone(chromium: Browser, hall: Application, admin: Client) -> None:
    one, two, three, four = await queue(admin, 4)
    async with signed_in(chromium, hall.address) as page:
        await page.clock.install()
        await page.goto("/operator")
        await expect(page.locator("#link")).to_have_text("Terhubung")
        await expect(page.locator("#counters button").first).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#counter")).to_have_text("Loket 1")
        state = page.locator(".now .state")

        await call(page)
        await expect(page.locator(NUMBER)).to_have_text(one)
        await expect(state).to_contain_text("Dipanggil")
        await page.keyboard.press("Space")
        await expect(page.get_by_text(f"Selesaikan atau lewati {one} dahulu.")).to_be_visible()
        await page.keyboard.press("r")  # recall
        await expect(page.locator("#undo-place")).to_contain_text(f"{one} dipanggil ulang.")
        await page.keyboard.press("Enter")  # start
        await expect(state).to_contain_text("Sedang Dilayani")
        await page.clock.run_for(400)
        await press(page, "Enter")  # complete
        await expect(page.locator(".now.idle")).to_be_visible()
        assert await status(admin, one) == ("COMPLETED", "1")

        await press(page, "u")  # undo
        await expect(page.locator(NUMBER)).to_have_text(one)
        await expect(state).to_contain_text("Sedang Dilayani")
        await press(page, "Enter")
        await expect(page.locator(".now.idle")).to_be_visible()

        await call(page)
        await expect(page.locator(NUMBER)).to_have_text(two)
        await press(page, "l")  # skip
        await expect(page.locator(".now.idle")).to_be_visible()
        assert (await status(admin, two))[0] == "NO_SHOW"
        await page.keyboard.press("Control+k")  # search for the patient who came back
        await expect(page.locator("#search")).to_be_focused()
        await page.keyboard.type(two.lower())
        await expect(page.locator(".tickets .number")).to_have_text([two])
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name=f"Antre lagi {two}")).to_be_focused()
        await page.keyboard.press("Enter")  # requeue
        await expect(page.get_by_text(f"{two} antre lagi.")).to_be_visible()
        assert (await status(admin, two))[0] == "WAITING"
        await page.keyboard.press("Control+k")
        await page.keyboard.press("Escape")
        await expect(page.locator("#search")).to_have_value("")

        await call(page)
        await expect(page.locator(NUMBER)).to_have_text(three)
        await page.keyboard.press("t")  # transfer
        await expect(page.get_by_role("button", name="Poli Gigi")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator(".now.idle")).to_be_visible()
        moved = (await admin.get("/queue", params={"service": "gigi"})).body["data"]
        assert [ticket["number"] for ticket in moved] == [three]

        await call(page)
        await expect(page.locator(NUMBER)).to_have_text(four)
        await page.keyboard.press("h")  # hold
        await expect(page.locator(".now.idle")).to_be_visible()
        assert (await status(admin, four))[0] == "ON_HOLD"


async def test_two_counters_that_call_at_once_get_different_patients(
    chromium: Browser, hall: Application, admin: Client
) -> None:
    waiting = await queue(admin, 2)
    await admin.hire("dua@klinik.example")
    async with (
        signed_in(chromium, hall.address) as left,
        signed_in(chromium, hall.address, ("dua@klinik.example", PASSWORD)) as right,
    ):
        await sit_down(left, "Loket 1")
        await sit_down(right, "Loket 2")
        await expect(left.locator(".tickets li")).to_have_count(2)
        await expect(right.locator(".tickets li")).to_have_count(2)
        await asyncio.gather(call(left), call(right))
        await expect(left.locator(NUMBER)).to_be_visible()
        await expect(right.locator(NUMBER)).to_be_visible()
        called = [await left.locator(NUMBER).text_content(), await right.locator(NUMBER).text_content()]
        assert sorted(map(str, called)) == waiting
        await left.get_by_role("tab", name="Di loket").click()
        await expect(left.locator(".tickets .of")).to_contain_text(["di Loket", "di Loket"])


async def test_a_counter_never_calls_twice(chromium: Browser, hall: Application, admin: Client) -> None:
    """Not for a key held down, a double click, or a second key press while the network is slow."""
    await queue(admin, 5)
    asked: list[str] = []
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page)
        await expect(page.locator(".tickets li")).to_have_count(5)
        release = asyncio.Event()

        async def slow(route: Route) -> None:
            asked.append(route.request.headers["idempotency-key"])
            await release.wait()
            await route.continue_()

        await intercept(page, "**/queue/call-next", slow)
        await page.keyboard.down("Space")
        for _ in range(5):
            await page.keyboard.down("Space")  # a key held down repeats
        await page.keyboard.up("Space")
        await page.keyboard.press("Space")
        call = page.locator("[data-act=call]")
        await expect(call).to_have_attribute("aria-disabled", "true")
        await call.dispatch_event("click", {"detail": 1})
        release.set()
        await expect(page.locator(NUMBER)).to_be_visible()
        assert len(asked) == 1
        await page.keyboard.press("l")
        await expect(page.locator(".now.idle")).to_be_visible()
        await expect(call).to_have_attribute("aria-disabled", "false")
        await call.dblclick()
        await expect(page.locator(".now .state")).to_contain_text("Dipanggil")
        assert len(asked) == 2, "the second click did not start serving"


async def test_a_request_whose_answer_is_lost_is_sent_again(
    chromium: Browser, hall: Application, admin: Client
) -> None:
    first, second = await queue(admin, 2)
    keys: list[str] = []
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page)

        async def lose_first(route: Route) -> None:
            keys.append(route.request.headers["idempotency-key"])
            await route.fetch()
            await (route.abort() if len(keys) == 1 else route.continue_())

        await expect(page.locator(".tickets li")).to_have_count(2)
        await intercept(page, "**/queue/call-next", lose_first)
        await call(page)
        await expect(page.locator("#undo-place")).to_contain_text(f"{first} dipanggil.")
        assert (len(keys), len(set(keys))) == (2, 1)
        assert (await status(admin, second))[0] == "WAITING"


async def test_the_list_shows_waits_and_reasons_and_lets_staff_change_them(
    chromium: Browser, hall: Application, admin: Client
) -> None:
    plain, urgent = await queue(admin, 2)
    [teeth] = await queue(admin, 1, service="gigi")
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page)
        await expect(page.locator(".tickets .number")).to_have_text([plain, urgent])
        await page.select_option("#filter", label="Semua poli")
        await expect(page.locator(".tickets .number")).to_have_text([plain, urgent, teeth])
        row = page.locator(".tickets li", has_text=urgent)
        await row.locator(".ticket").click()
        await page.click("[data-act=priority]")
        await page.get_by_role("radio", name="Darurat").check()
        await page.get_by_role("button", name="Simpan").click()
        await expect(row.locator(".badge.bad")).to_have_text("Darurat")
        await call(page)
        await expect(page.locator(NUMBER)).to_have_text(urgent)

        await page.locator(".tickets li", has_text=plain).locator(".ticket").click()
        await page.click("[data-act=cancel]")
        await page.select_option("dialog [name=why]", label="Pasien pulang")
        await page.get_by_role("button", name="Batalkan nomor").click()
        await expect(page.locator(".tickets .number")).to_have_text([teeth])
        assert (await status(admin, plain))[0] == "CANCELLED"


async def test_lowering_a_priority_needs_a_reason(chromium: Browser, hall: Application, admin: Client) -> None:
    [number] = await queue(admin, 1, priority_reason="hamil")
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page)
        await page.locator(".ticket", has_text=number).click()
        await page.click("[data-act=priority]")
        await expect(page.locator("[name=why]")).to_be_hidden()
        await page.get_by_role("radio", name="Biasa").check()
        await page.get_by_role("button", name="Simpan").click()
        await expect(page.locator("dialog [role=alert]")).to_contain_text("prioritas")
        await page.fill("[name=why]", "salah pilih")
        await page.get_by_role("button", name="Simpan").click()
        await expect(page.locator("dialog")).to_have_count(0)
        await expect(page.locator(".tickets .badge.info")).to_have_count(0)


async def test_a_patients_record_is_shown_on_demand_only(chromium: Browser, hall: Application, admin: Client) -> None:
    await queue(admin, 1)
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page)
        await expect(page.locator(".tickets li")).to_have_count(1)
        await call(page)
        await expect(page.locator(NUMBER)).to_be_visible()
        await expect(page.get_by_text("SITI UJI")).to_have_count(0)
        await page.get_by_role("button", name="Tampilkan data pasien").click()
        await expect(page.get_by_text("SITI UJI")).to_be_visible()
        await page.keyboard.press("l")
        await expect(page.get_by_text("SITI UJI")).to_have_count(0)
        opened = page.get_by_text("Tidak ada yang menunggu").first
        await expect(opened).to_be_visible()
        await expect(page.locator("[data-act=call]")).to_have_attribute("aria-disabled", "true")


async def test_a_key_that_is_pressed_twice_acts_once(chromium: Browser, hall: Application, admin: Client) -> None:
    [number] = await queue(admin, 1)
    async with signed_in(chromium, hall.address) as page:
        await page.clock.install()
        await sit_down(page)
        await expect(page.locator(".tickets li")).to_have_count(1)
        await call(page)
        await expect(page.locator(NUMBER)).to_have_text(number)
        await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 1"))
        await page.keyboard.press("Enter")
        await expect(page.locator(".now .state")).to_contain_text("Sedang Dilayani")
        await page.clock.run_for(150)
        await page.keyboard.press("Enter")  # the second press of the same key
        await page.clock.run_for(400)
        assert (await status(admin, number))[0] == "IN_PROGRESS"
        await page.keyboard.press("Enter")
        await expect(page.locator(".now.idle")).to_be_visible()
        assert (await status(admin, number))[0] == "COMPLETED"


async def test_a_counter_is_remembered_and_closed(chromium: Browser, hall: Application, admin: Client) -> None:
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page, "Loket 3")
        await page.reload()
        await expect(page.locator("#counter")).to_have_text("Loket 3")
        await page.click("#close")
        await page.get_by_role("button", name="Ya", exact=True).click()
        await expect(page.locator("#choose-title")).to_be_visible()
        counters = (await admin.get("/clinic")).body["counters"]
        assert [each["open"] for each in counters if each["id"] == "3"] == [False]
        await expect(page.locator("#counters .primary")).to_have_text("Buka Loket 3")


async def test_a_counter_does_nothing_while_the_server_is_away(
    chromium: Browser, hall: Application, admin: Client
) -> None:
    [number] = await queue(admin, 1)
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page)
        await expect(page.locator(".tickets li")).to_have_count(1)
        hall.kill()
        await expect(page.locator("#link")).to_have_text("Terputus")
        await expect(page.locator("#lost")).to_be_visible()
        await expect(page.locator("[data-act=call]")).to_have_attribute("aria-disabled", "true")
        await page.keyboard.press("Space")
        await expect(page.get_by_text(re.compile("^Terputus. Tunggu")).first).to_be_visible()
        hall.start()
        await expect(page.locator("#link")).to_have_text("Terhubung", timeout=30_000)
        await expect(page.locator("#lost")).to_be_hidden()
        await call(page)
        await expect(page.locator(NUMBER)).to_have_text(number)


async def test_the_page_is_accessible_in_both_languages(chromium: Browser, hall: Application, admin: Client) -> None:
    await queue(admin, 3)
    async with signed_in(chromium, hall.address, color_scheme="dark") as page:
        await page.goto("/operator")
        await expect(page.locator("#counters button").first).to_be_visible()
        await check_accessibility(page)
        await sit_down(page, "Loket 2")
        await call(page)
        await expect(page.locator(NUMBER)).to_be_visible()
        await check_accessibility(page)
    async with signed_in(chromium, hall.address) as page:
        await sit_down(page)
        await expect(page.locator(".tickets li").first).to_be_visible()
        await check_accessibility(page)
        await in_english(page)
        await call(page)
        await expect(page.get_by_role("button", name="Start service")).to_be_visible()
        await check_accessibility(page)
        await page.locator(".ticket").first.click()
        await check_accessibility(page)

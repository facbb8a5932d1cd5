"""The patient's page: live changes of the ticket, on a phone and on paper."""

import re
import time
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.fixtures.application import Application
from tests.fixtures.browser.counter import call
from tests.fixtures.browser.screen import NAME, PHONE, Paper, watched
from tests.fixtures.client import Client
from tests.fixtures.visitors import new_nik

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOON = 2000
"""Milliseconds in which a change must show."""


async def a_ticket(staff: Client) -> dict[str, Any]:
    return await staff.queue(await staff.register(new_nik()), service="gigi")


async def test_a_call_shows_within_two_seconds(page: Page, staff: Client) -> None:
    await staff.post("/queue/counters/3/open")
    first, own = await a_ticket(staff), await a_ticket(staff)
    await page.goto(f"/t/{own['token']}")
    await expect(page.locator("#number")).to_have_text(own["number"])
    await expect(page.locator("#status")).to_have_text("Menunggu")
    people = int(await page.inner_text("#ahead"))
    assert people >= 1
    estimate = await page.inner_text("#estimate")
    assert estimate == "—" or re.fullmatch(r"\d+–\d+ menit", estimate), "a range, or no estimate"
    while (number := await call(staff, "3")) != first["number"]:
        pass
    began = time.monotonic()
    await expect(page.locator("#last")).to_have_text(number, timeout=SOON)
    await expect(page.locator("#ahead")).to_have_text("0", timeout=SOON)
    await expect(page.locator("#status")).to_have_text("Anda berikutnya", timeout=SOON)
    assert time.monotonic() - began < SOON / 1000
    assert await call(staff, "3") == own["number"]
    await expect(page.locator("#status")).to_have_text("Giliran Anda", timeout=SOON)
    await expect(page.locator("#says")).to_have_text("Silakan menuju Loket 3")
    await expect(page).to_have_title(re.compile("Giliran Anda · Loket 3"))
    await staff.delete(f"/queue/{own['id']}")
    await expect(page.locator("#status")).to_have_text("Batal", timeout=SOON)


async def test_an_expired_link_is_explained(page: Page) -> None:
    answered = await page.goto("/t/tidak-ada")
    assert answered is not None
    assert answered.status == 404
    await expect(page.locator("main")).to_contain_text("Tautan ini tidak berlaku lagi.")


async def test_the_chosen_language_is_kept(page: Page, staff: Client) -> None:
    _, own = await a_ticket(staff), await a_ticket(staff)
    await page.goto(f"/t/{own['token']}")
    await expect(page.locator("#status")).to_have_text("Menunggu")
    await page.get_by_role("link", name="English").click()
    await expect(page.locator("#status")).to_have_text("Waiting")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.url.endswith(f"/t/{own['token']}")
    await page.goto("/display/all")
    await expect(page.locator("#link")).to_have_text("Connected")
    await page.goto(f"/t/{own['token']}")
    await page.get_by_role("link", name="Indonesia").click()
    await expect(page.locator("#status")).to_have_text("Menunggu")


@pytest.mark.parametrize("width", [58, 80])
async def test_a_ticket_is_printed_as_wide_as_the_paper(
    chromium: Browser, staff: Client, clinic: Application, width: int
) -> None:
    """One page as wide as the paper, with the number, the service and a QR code for the page."""
    own = await a_ticket(staff)
    # Opened under a host name, because MediQ prints no QR code for a loopback address.
    address = f"http://{NAME}:{clinic.port}"
    async with watched(chromium, address, **PHONE) as page:
        await page.goto(f"/t/{own['token']}")
        await expect(page.locator("#number")).to_have_text(own["number"])
        paper = Paper(await page.pdf(width=f"{width}mm", height="120mm", print_background=True))
        assert paper.pages == 1
        assert own["number"] in paper.text
        assert "Poli Gigi" in paper.text
        assert "Klinik Uji" in paper.text
        assert paper.code == f"{address}/t/{own['token']}"
        assert paper.width == pytest.approx(width, abs=1)

"""The description of the API in a browser: found by its words, and opened where an address points."""

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_call_is_found_by_its_words(page: Page) -> None:
    await page.goto("/docs")
    calls = page.locator(".operation:visible")
    everything = await calls.count()
    await page.get_by_role("searchbox").fill("ktp upload")
    await expect(calls).to_have_count(0)
    await page.get_by_role("searchbox").fill("post ktp")
    await expect(calls).to_have_count(1)
    await expect(page.locator("[id='ocr.process-ktp']")).to_be_visible()
    await expect(page.get_by_role("status")).to_have_text("1 ditemukan")
    await page.get_by_role("searchbox").fill("")
    await expect(calls).to_have_count(everything)


async def test_an_address_opens_what_it_points_at(page: Page) -> None:
    await page.goto("/docs#queue.add-patient")
    call = page.locator("[id='queue.add-patient']")
    await expect(call).to_have_attribute("open", "")
    await expect(call).to_be_in_viewport()
    await call.get_by_role("link", name="TicketView").click()
    await expect(page.locator("#type-TicketView")).to_have_attribute("open", "")

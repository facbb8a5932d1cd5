"""The page at `/docs`: the search, and links to one operation or type."""

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_search_finds_an_operation_by_its_words(page: Page) -> None:
    await page.goto("/docs")
    operations = page.locator(".operation:visible")
    everything = await operations.count()
    await page.get_by_role("searchbox").fill("ktp upload")
    await expect(operations).to_have_count(0)
    await page.get_by_role("searchbox").fill("post ktp")
    await expect(operations).to_have_count(1)
    await expect(page.locator("[id='ocr.process-ktp']")).to_be_visible()
    await expect(page.get_by_role("status")).to_have_text("1 ditemukan")
    await page.get_by_role("searchbox").fill("")
    await expect(operations).to_have_count(everything)


async def test_a_link_opens_its_operation_or_type(page: Page) -> None:
    await page.goto("/docs#queue.add-patient")
    operation = page.locator("[id='queue.add-patient']")
    await expect(operation).to_have_attribute("open", "")
    await expect(operation).to_be_in_viewport()
    await operation.get_by_role("link", name="TicketView").click()
    await expect(page.locator("#type-TicketView")).to_have_attribute("open", "")

"""Accessibility of all public pages: weight, contrast, zoom, phones, the keyboard, screen readers."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.fixtures.application import Application
from tests.fixtures.browser.screen import watched
from tests.fixtures.browser.staff_window import check_accessibility
from tests.fixtures.client import Client
from tests.fixtures.visitors import new_nik

pytestmark = pytest.mark.asyncio(loop_scope="session")

WEIGHT = 100_000
"""The most bytes that a page may load, without photos."""
PAGES = ("/", "/setup", "/signin", "/kiosk", "/display/all", "/t/{token}", "/no/such/page", "/docs")
CONTRAST = """(least) => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const part = (each) => (each <= 10.04 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(each).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const ratio = (one, two) => (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  const says = (element) => [...element.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
  const seen = (element) => element.getClientRects().length && !element.closest(".sr-only, svg");
  return [...document.querySelectorAll("body *")].filter((each) => seen(each) && says(each))
    .map((each) => [each.textContent.trim(), ratio(light(parse(getComputedStyle(each).color)), light(behind(each)))])
    .filter(([, found]) => found < least);
}"""
"""The texts of a page whose contrast, by the formula of WCAG 2, is below `least`."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def token(staff: Client) -> str:
    ticket = await staff.queue(await staff.register(new_nik()), service="gigi")
    return str(ticket["token"])


@pytest_asyncio.fixture(loop_scope="session")
async def dark(chromium: Browser, clinic: Application) -> AsyncIterator[Page]:
    async with watched(chromium, clinic.address, color_scheme="dark") as page:
        yield page


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_light_and_accessible(page: Page, clinic: Application, token: str, path: str) -> None:
    """It loads few bytes, never scrolls sideways at 200 % or on a phone, and axe finds no violation."""
    answered: list[Any] = []
    page.on("response", lambda response: answered.append(response))
    await page.goto(path.format(token=token))
    weight = 0
    for response in answered:
        assert response.url.startswith(clinic.address), "no request goes to another site"
        if "/events/" not in response.url:
            sizes = await response.request.sizes()
            weight += sizes["responseBodySize"] + sizes["responseHeadersSize"]
    assert 1000 < weight < WEIGHT
    await check_accessibility(page)


async def test_axe_finds_no_violation_in_dark_mode(dark: Page, token: str) -> None:
    for path in ("/", "/kiosk", "/display/all", "/t/{token}"):
        await dark.goto(path.format(token=token))
        await check_accessibility(dark)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_board_can_be_read_from_across_the_room(
    chromium: Browser, clinic: Application, staff: Client, scheme: Any
) -> None:
    """The contrast of every text is 7:1 or more, and the number is as large as the screen allows."""
    await staff.queue(await staff.register(new_nik()), service="gigi")
    await staff.patch("/queue/call-next", {"counter": "3"})
    async with watched(chromium, clinic.address, color_scheme=scheme) as page:
        await page.goto("/display/gigi")
        await expect(page.locator("#number")).to_have_text(re.compile(r"B-\d+"))
        assert await page.evaluate(CONTRAST, 7) == []
        size = await page.evaluate("parseFloat(getComputedStyle(document.getElementById('number')).fontSize)")
        assert size == 220
        scrolls = await page.evaluate("document.documentElement.scrollHeight > innerHeight")
        assert not scrolls, "nobody scrolls a television"


async def test_a_page_works_by_keyboard_alone(page: Page) -> None:
    await page.goto("/")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Langsung ke isi")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name=re.compile("^Loket"))).to_be_focused()
    await page.goto("/display/all")
    await expect(page.locator("#sound")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#sound")).to_be_hidden()

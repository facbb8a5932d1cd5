"""The staff's side of the browser: signing in, and what every page must be for everyone who uses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.browser.screen import watched
from tests.fixtures.house import ADMIN

DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
ZOOMED: dict[str, Any] = {"viewport": {"width": 640, "height": 512}}
"""What a page of 1280 by 1024 has left at 200 %."""
NARROW: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
_AXE = Axe()
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@asynccontextmanager
async def signed_in(chromium: Browser, address: str, who: tuple[str, str] = ADMIN, **more: Any) -> AsyncIterator[Page]:
    """A window in which someone of the staff is signed in."""
    async with watched(chromium, address, **{**DESKTOP, **more}) as page:
        await enter(page, address, who)
        yield page


async def enter(page: Page, address: str, who: tuple[str, str] = ADMIN) -> None:
    """Give the window the cookie that signing in gives."""
    body = {"email": who[0], "password": who[1]}
    response = await page.context.request.post("/session", data=body, headers={"Origin": address})
    assert response.ok, await response.text()


async def fit_for_all(page: Page) -> None:
    """Check the page with axe, and that it never scrolls sideways: on a desktop, at 200 %, on a phone."""
    before = page.viewport_size
    for size in (DESKTOP, ZOOMED, NARROW):
        await page.set_viewport_size(size["viewport"])
        wide = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide[0] <= wide[1], (page.url, size, wide)
    if before is not None:
        await page.set_viewport_size(before)
    found = await _AXE.run(page, options=_RULES)
    assert found.violations_count == 0, found.generate_report()


async def in_english(page: Page) -> None:
    """Choose English with the page's own switch; returns when the page is there again."""
    await page.get_by_role("link", name="English").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")

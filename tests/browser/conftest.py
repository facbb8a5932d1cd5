"""A real Chromium at a real house: pages as people see them. Without Chromium these tests fail; they never skip."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.screen import CHROMIUM, FLAGS, watched
from tests.fixtures.desk import Desk, desk_at
from tests.fixtures.house import GENEROUS, House, made_with_admin, running

SMALL_CARDS = """
[ocr]
upload_max_size = 3000000
"""
"""Less than what pages would send if nobody told them."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house of the browser tests' own."""
    base = tmp_path_factory.mktemp("clinic")
    made_with_admin(base)
    with running(base, GENEROUS + SMALL_CARDS) as house:
        yield house
        assert house.stop() == 0, house.log


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def staff(clinic: House) -> AsyncIterator[Desk]:
    """The administrator of the clinic, without a browser."""
    async with desk_at(clinic) as desk:
        await desk.ready()
        yield await desk.sign_in()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, clinic: House) -> AsyncIterator[Page]:
    """A fresh browser window, at a television's size; what goes wrong in a script fails the test."""
    async with watched(chromium, clinic.address) as page:
        yield page

"""A real Chromium and a real application. Without Chromium these tests fail; they never skip."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.browser.screen import CHROMIUM, FLAGS, watched
from tests.fixtures.client import Client, client_at

SMALL_CARDS = """
[ocr]
upload_max_size = 3000000
"""
"""Bytes. Less than a page would send if it did not know the limit."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application that all browser tests share."""
    base = tmp_path_factory.mktemp("clinic")
    made_with_admin(base)
    with running(base, GENEROUS + SMALL_CARDS) as application:
        yield application
        assert application.stop() == 0, application.log


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def staff(clinic: Application) -> AsyncIterator[Client]:
    """The administrator of the clinic, without a browser."""
    async with client_at(clinic) as client:
        await client.ready()
        yield await client.sign_in()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, clinic: Application) -> AsyncIterator[Page]:
    """A new browser window, as large as a television. An error in a script fails the test."""
    async with watched(chromium, clinic.address) as page:
        yield page

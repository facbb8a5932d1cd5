"""Looking at pages: windows that report what goes wrong in them, and what a board has said and shown."""

import asyncio
import io
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np
import pypdfium2 as pdfium
from playwright.async_api import Browser, Page, Route

NAME = "klinik.test"
"""A name of this machine that looks to pages like one which phones could reach."""
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
]
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
HARMLESS = ("Failed to load resource", "AudioContext was not allowed to start", "Cross-Origin-Opener-Policy")
"""What Chromium's console says of a server that is away, of sound before the first tap, and of a name without https."""

LISTEN = """
window.heard = { clips: 0, tones: 0, calls: [] };
for (const [kind, name] of [[AudioBufferSourceNode, "clips"], [OscillatorNode, "tones"]]) {
  const start = kind.prototype.start;
  kind.prototype.start = function (...when) { window.heard[name] += 1; return start.apply(this, when); };
}
addEventListener("DOMContentLoaded", () => {
  const said = document.getElementById("said");
  const note = () => window.heard.calls.push(document.getElementById("number").textContent);
  if (said) new MutationObserver(note).observe(said, { childList: true });
});
"""
"""Counts what a board plays, and notes each call that it announces to whoever reads by ear."""


@asynccontextmanager
async def watched(chromium: Browser, address: str, **options: Any) -> AsyncIterator[Page]:
    """A window of its own, without cookies; an error in a script, or one on the console, is raised at the end."""
    context = await chromium.new_context(base_url=address, **{"viewport": {"width": 1920, "height": 1080}, **options})
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    await page.add_init_script(LISTEN)
    try:
        yield page
    finally:
        await context.close()
    serious = [words for words in wrong if not any(each in words for each in HARMLESS)]
    assert not serious, serious


class Paper:
    """What was printed: `pages`, their `width` in millimetres, the `text`, and what the QR `code` on them says."""

    def __init__(self, data: bytes) -> None:
        document = pdfium.PdfDocument(io.BytesIO(data))
        self.pages = len(document)
        self.width = document[0].get_width() / 72 * 25.4
        self.text = document[0].get_textpage().get_text_range()
        picture = np.asarray(document[0].render(scale=4).to_pil().convert("L"))
        self.code, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)


async def intercept(page: Page, pattern: str, on_request: Callable[[Route], Awaitable[None] | None]) -> None:
    """Hand what the page asks of addresses like `pattern` to `on_request` instead of the house.

    Returns when that is so: a page that is open already may for a moment still send past a route that was set.
    """
    in_force = asyncio.Event()

    async def probed(route: Route) -> None:
        in_force.set()
        await route.fulfill(status=204)

    await page.route(pattern, on_request)
    await page.route("**/probe-of-a-route", probed)
    while not in_force.is_set():
        await page.evaluate("fetch('/probe-of-a-route')")

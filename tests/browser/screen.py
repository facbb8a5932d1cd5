"""Looking at pages: windows that report what goes wrong in them, and what a board has said and shown."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HARMLESS = ("Failed to load resource", "AudioContext was not allowed to start")
"""What Chromium's console says of a server that is away, and of sound before the first tap."""

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
    assert [words for words in wrong if not any(each in words for each in HARMLESS)] == []

"""The kiosk: it is paired once, turns a card at the camera into a printed number, and keeps nothing of a patient."""

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageFilter
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.fixtures.application import ADMIN, Application
from tests.fixtures.browser.screen import CHROMIUM, FLAGS, Paper, intercept, watched
from tests.fixtures.client import Client
from tests.fixtures.specimens.cards import draw, jpeg, person
from tests.fixtures.visitors import CLEAN, card

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRAME = (1280, 720)
READ = 30_000
"""Milliseconds in which even a busy machine reads a card."""
PRINTED = "window.printed = 0; window.print = () => { window.printed += 1; };"


def held_up(picture: bytes) -> bytes:
    """The camera's picture of a card in the frame."""
    frame = Image.new("RGB", FRAME, (96, 92, 88))
    image = Image.open(io.BytesIO(picture))
    frame.paste(image, ((FRAME[0] - image.width) // 2, (FRAME[1] - image.height) // 2))
    return jpeg(frame, 95)


def doubtful() -> bytes:
    """A card that is read without certainty."""
    image = draw(person(3), seed=3).resize((640, 404), Image.Resampling.LANCZOS)
    return jpeg(image.filter(ImageFilter.GaussianBlur(1.4)), 60)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def camera(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A browser whose camera films a specimen card; all frames are the same picture."""
    film = tmp_path_factory.mktemp("camera") / "card.mjpeg"
    film.write_bytes(held_up(card(CLEAN[1])) * 3)
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield browser
        await browser.close()


async def pair(page: Page, name: str) -> None:
    """Pair a device as an administrator does: sign in on it and name it."""
    await page.goto("/kiosk")
    await expect(page.locator("h1")).to_have_text("Perangkat ini belum dipasangkan")
    await page.get_by_role("link", name="Masuk sebagai administrator").click()
    await page.get_by_label("Email").fill(ADMIN[0])
    await page.get_by_label("Kata sandi", exact=True).fill(ADMIN[1])
    await page.keyboard.press("Enter")
    await page.get_by_label("Nama perangkat").fill(name)
    await page.get_by_role("button", name="Pasangkan perangkat ini").click()
    await expect(page.get_by_role("heading", name="Pilih poli yang Anda tuju")).to_be_visible()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def paired(camera: Browser, clinic: Application, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cookies of a paired device."""
    kept = tmp_path_factory.mktemp("kiosk") / "state.json"
    async with watched(camera, clinic.address) as page:
        await pair(page, "Kios pintu depan")
        await page.context.storage_state(path=kept)
    return kept


@pytest_asyncio.fixture(loop_scope="session")
async def kiosk(camera: Browser, clinic: Application, paired: Path) -> AsyncIterator[Page]:
    """A paired kiosk with a camera, as large as a tablet. It counts the slips that it prints."""
    size = {"width": 1280, "height": 800}
    async with watched(camera, clinic.address, storage_state=paired, viewport=size, permissions=["camera"]) as page:
        await page.add_init_script(PRINTED)
        await page.goto("/kiosk")
        yield page


async def test_a_card_at_the_camera_becomes_a_printed_number(kiosk: Page, staff: Client, clinic: Application) -> None:
    await kiosk.get_by_role("button", name="Poli Gigi").click()
    await expect(kiosk.get_by_role("heading", name="Letakkan e-KTP di dalam bingkai")).to_be_focused()
    await kiosk.wait_for_function("() => document.getElementById('video').videoWidth > 0")
    await kiosk.get_by_role("button", name="Ambil Foto").click()
    number = kiosk.locator("#number")
    await expect(number).to_have_text(re.compile(r"B-\d{3}"), timeout=READ)
    await kiosk.wait_for_function("() => window.printed === 1")
    shown = await number.inner_text()
    [ticket] = [each for each in (await staff.get("/queue")).body["data"] if each["number"] == shown]
    paper = Paper(await kiosk.pdf(width="80mm", height="120mm"))
    assert (paper.pages, shown in paper.text, "Poli Gigi" in paper.text) == (1, True, True)
    assert paper.code == "", "a phone cannot reach 127.0.0.1"
    await kiosk.get_by_role("button", name="Selesai").click()
    await expect(kiosk.get_by_role("heading", name="Pilih poli yang Anda tuju")).to_be_visible()
    assert shown not in await kiosk.content(), "the page keeps nothing for the next patient"
    await staff.delete(f"/queue/{ticket['id']}")


async def test_an_abandoned_kiosk_resets_itself_to_the_clinics_language(kiosk: Page) -> None:
    await kiosk.clock.install()
    await kiosk.goto("/kiosk")
    await kiosk.get_by_role("link", name="English").click()
    await kiosk.get_by_role("button", name="Poli Umum").click()
    await expect(kiosk.get_by_role("heading", name="Place your e-KTP inside the frame")).to_be_visible()
    await kiosk.wait_for_function("() => document.getElementById('video').videoWidth > 0")
    await kiosk.clock.run_for(50_000)
    await kiosk.keyboard.press("Shift")  # a patient is still there
    await kiosk.clock.run_for(50_000)
    await expect(kiosk.get_by_role("heading", name="Place your e-KTP inside the frame")).to_be_visible()
    await kiosk.clock.run_for(11_000)
    await expect(kiosk.get_by_role("heading", name="Pilih poli yang Anda tuju")).to_be_visible()
    await expect(kiosk.locator("html")).to_have_attribute("lang", "id")
    await kiosk.get_by_role("button", name="Poli Umum").click()
    await kiosk.wait_for_function("() => document.getElementById('video').videoWidth > 0")
    await kiosk.clock.run_for(61_000)
    await expect(kiosk.get_by_role("heading", name="Pilih poli yang Anda tuju")).to_be_visible()
    assert await kiosk.evaluate("document.getElementById('video').srcObject") is None, "the camera is off"


async def test_without_a_camera_a_file_is_chosen_and_an_uncertain_card_goes_to_the_counter(
    camera: Browser, clinic: Application, paired: Path
) -> None:
    async with watched(camera, clinic.address, storage_state=paired) as page:
        await page.goto("/kiosk")
        for picture, heading in (
            (jpeg(Image.new("RGB", (800, 600), (180, 180, 180))), "Kartu belum dapat dibaca"),
            (doubtful(), "Silakan ke loket pendaftaran"),
        ):
            await page.get_by_role("button", name="Poli Umum").click()
            await expect(page.get_by_text("Kamera perangkat ini tidak dapat dipakai")).to_be_visible()
            await page.set_input_files("#file", {"name": "ktp.jpg", "mimeType": "image/jpeg", "buffer": picture})
            await expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=READ)
            if heading.startswith("Kartu"):
                await expect(page.locator("#why")).to_contain_text("Tidak ada e-KTP pada foto")
                await page.get_by_role("button", name="Coba Lagi").click()
                await page.get_by_role("button", name="Kembali").click()


async def test_a_card_without_a_result_does_not_block_the_kiosk(kiosk: Page) -> None:
    await kiosk.clock.install()
    await kiosk.goto("/kiosk")
    await intercept(kiosk, "**/ocr/process-ktp", lambda _: None)  # the request never gets an answer
    await kiosk.get_by_role("button", name="Poli Umum").click()
    await kiosk.wait_for_function("() => document.getElementById('video').videoWidth > 0")
    async with kiosk.expect_request("**/ocr/process-ktp"):
        await kiosk.get_by_role("button", name="Ambil Foto").click()
    await expect(kiosk.get_by_role("heading", name="Membaca kartu Anda")).to_be_visible()
    await kiosk.clock.run_for(61_000)
    await expect(kiosk.get_by_role("heading", name="Kartu belum dapat dibaca")).to_be_visible()
    await expect(kiosk.get_by_role("button", name="Coba Lagi")).to_be_visible()
    await kiosk.clock.run_for(26_000)
    await expect(kiosk.get_by_role("heading", name="Pilih poli yang Anda tuju")).to_be_visible()


async def test_the_link_of_a_ticket_leaves_the_page_with_its_patient(kiosk: Page) -> None:
    left = await kiosk.evaluate("""async () => {
      const script = document.querySelector("script[src$='/kiosk.js']").src;
      const { write } = await import(script.replace("kiosk.js", "slip.js"));
      write({ number: "A-001", service: "Poli Umum", at: "", token: "a-patients-own", qr: true });
      write({ number: "", service: "", at: "" });
      return document.documentElement.outerHTML;
    }""")
    assert "a-patients-own" not in left


async def test_a_kiosk_stores_nothing_that_it_does_not_need(kiosk: Page) -> None:
    for path in ("/users", "/queue", "/queue/statistics"):
        status = await kiosk.evaluate("async (path) => (await fetch(path)).status", path)
        assert status == 403, path
    for path in ("/operator", "/admin"):
        await kiosk.goto(path)
        assert "/signin?next=" in kiosk.url


async def test_the_kiosk_says_that_the_clinic_is_closed(kiosk: Page, staff: Client) -> None:
    before = (await staff.get("/clinic")).body
    settings = {name: before[name] for name in ("name", "timezone")}
    services = [{key: each[key] for key in ("id", "name", "letter")} for each in before["services"]]
    counters = [{key: each[key] for key in ("id", "name", "services")} for each in before["counters"]]
    hour = int(before["at"][11:13])  # any zone's clock is whole hours from UTC's
    shut = {"opens": f"{(hour + 11) % 24:02}:30:00", "closes": f"{(hour + 12) % 24:02}:30:00"}
    closed = [{**each, **shut} for each in services]
    changed = await staff.ask("PUT", "/clinic", json={**settings, "services": closed, "counters": counters})
    assert changed.status == 200, changed
    try:
        await kiosk.clock.install()
        await kiosk.reload()
        await expect(kiosk.get_by_role("heading", name="Tutup")).to_be_visible()
        await expect(kiosk.locator("#hours")).to_contain_text("Poli Gigi")
        await kiosk.get_by_role("link", name="English").click()
        await expect(kiosk.get_by_role("heading", name="Closed")).to_be_visible()
        await kiosk.clock.run_for(61_000)
        await expect(kiosk.get_by_role("heading", name="Tutup")).to_be_visible()
    finally:
        undone = await staff.ask("PUT", "/clinic", json={**settings, "services": services, "counters": counters})
        assert undone.status == 200, undone

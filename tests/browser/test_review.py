"""Registering at the counter: a card from a file, the review of its uncertain fields beside the photo, the ticket."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from functools import cache

import pytest
import pytest_asyncio
from PIL import Image, ImageFilter
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from tests.fixtures.application import ADMIN, HANG, Application
from tests.fixtures.browser.screen import CHROMIUM, FLAGS, Paper, intercept
from tests.fixtures.browser.staff_window import check_accessibility, in_english, signed_in
from tests.fixtures.client import Client, browser_at
from tests.fixtures.specimens.cards import draw, jpeg, person
from tests.fixtures.visitors import CLEAN, card, new_nik

pytestmark = pytest.mark.asyncio(loop_scope="session")

READ_MS = HANG * 1000
POOR = 3
"""The seed of the fictitious person on the poor photo."""

HAND_OVER = """(place, way) => {
  const data = new DataTransfer();
  data.items.add(new File(["no picture at all"], "ktp.jpg", { type: "image/jpeg" }));
  const wish = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  place.dispatchEvent(way === "drop" ? new DragEvent("drop", wish) : new ClipboardEvent("paste", wish));
}"""
"""Drops or pastes a file that is not a picture."""


@cache
def poor() -> bytes:
    """A card that is read without certainty."""
    image = draw(person(POOR), seed=POOR).resize((640, 404), Image.Resampling.LANCZOS)
    return jpeg(image.filter(ImageFilter.GaussianBlur(1.4)), 60)


@pytest_asyncio.fixture(loop_scope="session")
async def client(chromium: Browser, clinic: Application, staff: Client) -> AsyncIterator[Page]:
    """A counter with the registration dialog open."""
    async with signed_in(chromium, clinic.address) as page:
        await page.goto("/operator")
        await expect(page.locator("#link")).to_have_text("Terhubung")
        await page.locator("#counters button").nth(1).click()
        await expect(page.locator("#counter")).to_have_text("Loket 2")
        await page.keyboard.press("d")
        await expect(page.get_by_role("dialog", name="Daftarkan pasien")).to_be_visible()
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def kiosk(clinic: Application, staff: Client) -> AsyncIterator[Client]:
    """A device paired as a kiosk."""
    async with browser_at(clinic) as browser:
        await browser.post("/session", {"email": ADMIN[0], "password": ADMIN[1]})
        assert (await browser.post("/devices", {"nama": "Kios lobi"})).status == 201
        yield browser


async def give(page: Page, data: bytes, name: str = "ktp.jpg", kind: str = "image/jpeg") -> None:
    await page.get_by_role("tab", name="Berkas").click()
    await page.set_input_files("#card-file", {"name": name, "mimeType": kind, "buffer": data})


async def give_up(page: Page) -> None:
    await page.get_by_role("button", name="Foto ulang").click()


async def test_a_clear_card_gets_a_ticket_at_once(client: Page, staff: Client) -> None:
    await client.select_option("[name=service]", label="Poli Gigi")
    await client.get_by_role("radio", name="Hamil").check()
    await give(client, card(CLEAN[1]))
    number = client.locator(".issued .number")
    await expect(number).to_have_text(re.compile(r"^B-\d{3}$"), timeout=READ_MS)
    [ticket] = [t for t in (await staff.get("/queue")).body["data"] if t["number"] == await number.text_content()]
    assert (ticket["service"], ticket["priority"], ticket["priority_reason"]) == ("gigi", "HIGH", "hamil")
    await client.evaluate("window.print = () => {}")
    await client.get_by_role("button", name="Cetak").click()
    await expect(client.locator("[data-slip=number]")).to_have_text(ticket["number"])
    paper = Paper(await client.pdf(width="80mm", height="120mm"))
    assert (paper.pages, ticket["number"] in paper.text, "Poli Gigi" in paper.text) == (1, True, True)
    await client.get_by_role("button", name="Pasien berikutnya").click()
    await expect(client.locator("[name=service]")).to_have_value("gigi")
    await expect(client.get_by_role("radio", name="Biasa")).to_be_checked()


async def test_a_picture_that_is_too_large_is_sent_smaller(client: Page) -> None:
    image = Image.open(io.BytesIO(card(CLEAN[2])))
    large = io.BytesIO()
    image.resize((image.width * 3, image.height * 3)).save(large, "PNG")
    assert 3_000_000 < len(large.getvalue()) < 5_000_000
    await give(client, large.getvalue(), "ktp.png", "image/png")
    await expect(client.locator(".issued .number, .review")).to_be_visible(timeout=READ_MS)


async def test_uncertain_fields_are_reviewed_beside_the_photo(client: Page, staff: Client) -> None:
    await give(client, poor())
    doubtful = client.locator(".field.unsure")
    await expect(doubtful.first).to_be_visible(timeout=READ_MS)
    await expect(client.locator(".picture img")).to_have_js_property("complete", True)
    focused = client.locator(".field.unsure :focus")
    await expect(focused).to_have_count(1)

    # The field with focus is framed on the photo where the card shows it.
    await client.locator(".review [name=nama]").focus()
    name = await client.locator(".picture .frame").bounding_box()
    await client.locator(".review [name=alamat]").focus()
    address = await client.locator(".picture .frame").bounding_box()
    picture = await client.locator(".picture").bounding_box()
    assert name is not None
    assert address is not None
    assert picture is not None
    for box in (name, address):
        assert picture["y"] < box["y"] < picture["y"] + picture["height"]
    assert name["y"] < address["y"], "the address is below the name"
    drawn = await client.evaluate("""() => {
      const loupe = document.querySelector(".loupe");
      const { data } = loupe.getContext("2d").getImageData(0, 0, loupe.width, loupe.height);
      return data.some((value, place) => place % 4 === 3 && value > 0);
    }""")
    assert drawn, "the field is enlarged"
    await check_accessibility(client)

    # Errors are shown beside their fields, and no value is lost.
    nik, name_now = new_nik(), "SITI YANG DIPERIKSA"
    await client.fill(".review [name=nama]", name_now)
    await client.fill(".review [name=nik]", nik[:15])
    await client.get_by_role("button", name="Simpan dan ambil antrean").click()
    wrong = client.locator(".field", has=client.locator("[name=nik]")).locator(".wrong")
    await expect(wrong).to_contain_text("NIK harus 16 angka")
    await expect(client.locator(".review [name=nama]")).to_have_value(name_now)
    await client.keyboard.press("Escape")
    await expect(client.get_by_text("Tinggalkan isian yang belum disimpan?")).to_be_visible()
    await client.get_by_role("button", name="Batal", exact=True).click()

    await client.fill(".review [name=nik]", nik)
    shown = await client.eval_on_selector_all(
        ".review [name]", "all => Object.fromEntries(all.map((each) => [each.name, each.value]))"
    )
    await client.get_by_role("button", name="Simpan dan ambil antrean").click()
    await expect(client.locator(".issued .number")).to_be_visible()
    [patient] = (await staff.get(f"/users?search={nik}")).body["data"]
    kept = {field: value for field, value in shown.items() if field in patient and value}
    assert len(kept) > 10
    assert {field: patient[field] for field in kept} == kept, "the stored values are those that were shown"


async def test_a_badge_counts_the_cards_that_wait_for_a_review(client: Page, kiosk: Client, staff: Client) -> None:
    await client.keyboard.press("Escape")
    badge = client.locator("#reviews-count")
    before = (await staff.get("/ocr/reviews")).body["pagination"]["total"]
    sent = await kiosk.upload(poor(), wait=30, service="gigi")
    assert sent.body["status"] == "NEEDS_REVIEW", sent
    await expect(badge).to_be_visible()
    await expect(badge).to_have_text(str(before + 1))
    await client.click("#reviews")
    row = client.locator(".reviews li", has_text="Kios").last
    await expect(row).to_contain_text("Poli Gigi")
    await row.get_by_role("button", name="Periksa").click()
    await expect(client.locator(".review [name=service]")).to_have_value("gigi")
    await client.fill(".review [name=nik]", new_nik())
    await client.get_by_role("button", name="Simpan dan ambil antrean").click()
    await expect(client.locator(".issued .number")).to_have_text(re.compile("^B-"))
    await expect(badge).to_have_text(str(before))
    await expect(badge).to_be_visible(visible=before > 0)


async def test_a_review_shows_the_requested_service_and_stores_the_shown_values(client: Page, staff: Client) -> None:
    await client.get_by_role("radio", name="Lansia").check()
    await client.keyboard.press("Escape")
    await expect(client.get_by_role("dialog")).to_have_count(0)
    await client.keyboard.press("d")
    await expect(client.get_by_role("radio", name="Biasa")).to_be_checked()
    await client.get_by_role("radio", name="Lansia").check()
    await client.keyboard.press("Escape")

    sent = await staff.upload(poor(), wait=30, priority_reason="hamil")
    assert sent.body["status"] == "NEEDS_REVIEW", sent

    async def of_a_foreigner(route: Route) -> None:
        answer = await route.fetch()
        read = await answer.json()
        read["fields"]["jenis_kelamin"]["value"] = "MALE"
        await route.fulfill(response=answer, json=read)

    await intercept(client, f"**/ocr/result/{sent.body['id']}", of_a_foreigner)
    await client.click("#reviews")
    await client.locator(".reviews .button").last.click()
    await expect(client.get_by_role("radio", name="Hamil")).to_be_checked()
    await expect(client.locator(".review [name=jenis_kelamin]")).to_have_value("MALE")
    kept = client.get_by_text("tidak dihapus dari data pasien")
    await expect(kept).to_be_hidden()
    await client.fill(".review [name=alamat]", "")
    await expect(kept).to_contain_text("Alamat")
    await client.get_by_role("radio", name="Biasa").check()
    nik = new_nik()
    await client.fill(".review [name=nik]", nik)
    await client.fill(".review [name=tgl_lahir]", "01-01-1990")
    await client.get_by_role("button", name="Simpan dan ambil antrean").click()
    number = client.locator(".issued .number")
    await expect(number).to_be_visible()
    [ticket] = [t for t in (await staff.get("/queue")).body["data"] if t["number"] == await number.text_content()]
    assert (ticket["priority"], ticket["priority_reason"]) == ("NORMAL", None)
    [patient] = (await staff.get(f"/users?search={nik}")).body["data"]
    assert (patient["jenis_kelamin"], patient["alamat"]) == ("MALE", None)


async def test_a_card_that_fails_after_the_dialog_was_closed_disturbs_nothing(client: Page) -> None:
    sent: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await intercept(client, "**/ocr/process-ktp", lambda route: sent.set_result(route))
    await give(client, card(CLEAN[1]))
    route = await sent
    await expect(client.get_by_text("Membaca kartu")).to_be_visible()
    await client.keyboard.press("Escape")
    await expect(client.get_by_role("dialog")).to_have_count(0)
    await client.keyboard.press("d")
    await client.get_by_role("tab", name="Tanpa kartu").click()
    await client.fill("[name=nama]", "BUDI YANG DIKETIK")
    await route.fulfill(status=500, json={"detail": "Ada kesalahan."}, content_type="application/problem+json")
    await expect(client.locator(".toast.bad")).to_contain_text("Ada kesalahan.")
    await expect(client.locator("[name=nama]")).to_have_value("BUDI YANG DIKETIK")


async def test_a_picture_without_a_card_is_refused_with_a_way_to_type_the_data(client: Page) -> None:
    out = io.BytesIO()
    Image.new("RGB", (900, 700), (120, 120, 20)).save(out, "PNG")
    await give(client, out.getvalue(), "foto.png", "image/png")
    await expect(client.get_by_role("alert")).to_contain_text("Tidak ada e-KTP pada foto ini", timeout=READ_MS)
    for way in ("drop", "paste"):
        await give_up(client)
        await client.locator(".drop").evaluate(HAND_OVER, way)
        await expect(client.get_by_role("alert")).to_contain_text("Kirim foto JPG, PNG, atau PDF")
    await client.get_by_role("button", name="Isi dengan tangan").click()
    await expect(client.locator("[name=nama]")).to_be_visible()


async def test_a_known_patient_and_one_without_a_card_are_registered(client: Page, staff: Client) -> None:
    nik = new_nik()
    await client.get_by_role("tab", name="NIK").click()
    await client.fill("[name=nik]", nik)
    await client.get_by_role("button", name="Cari").click()
    await expect(client.get_by_text("NIK ini belum terdaftar.")).to_be_visible()
    await client.get_by_role("button", name="Isi dengan tangan").click()
    await expect(client.locator("[name=nik]")).to_have_value(nik)
    await client.fill("[name=nama]", "BUDI TANPA KARTU")
    await client.fill("[name=tgl_lahir]", "01-01-1940")
    await client.get_by_role("button", name="Simpan dan ambil antrean").click()
    first = client.locator(".issued .number")
    await expect(first).to_have_text(re.compile("^A-"))
    number = await first.text_content()
    [ticket] = [t for t in (await staff.get("/queue")).body["data"] if t["number"] == number]
    assert ticket["priority_reason"] == "lansia", "from the birth date that was typed"

    await client.get_by_role("button", name="Pasien berikutnya").click()
    await client.get_by_role("tab", name="NIK").click()
    await client.fill("[name=nik]", nik)
    await client.keyboard.press("Enter")
    await expect(client.get_by_role("button", name="Ambil Antrean")).to_be_focused()
    await client.keyboard.press("Enter")
    await expect(first).to_have_text(str(number))  # a patient has one number a service and day


async def test_the_camera_frames_the_card_and_is_off_afterwards(clinic: Application) -> None:
    flags = [*FLAGS, "--use-fake-device-for-media-stream"]  # Chromium's fake camera films a test image, not an e-KTP
    async with async_playwright() as playwright:
        camera = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        async with signed_in(camera, clinic.address, permissions=["camera"]) as page:
            await page.goto("/operator")
            await page.locator("#counters button").nth(1).click()
            await page.get_by_role("button", name="Daftarkan Pasien").click()
            await page.get_by_role("tab", name="Kamera").click()
            await page.get_by_role("button", name="Nyalakan kamera").click()
            await expect(page.get_by_role("button", name="Ambil foto")).to_be_focused()
            frame = await page.locator(".guide").bounding_box()
            seen = await page.locator(".camera video").bounding_box()
            assert frame is not None
            assert seen is not None
            assert 1.5 < frame["width"] / frame["height"] < 1.65, "the aspect ratio of a card"
            assert frame["height"] < seen["height"]
            await page.evaluate("window.stream = document.querySelector('.camera video').srcObject")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert")).to_contain_text("Kartu tidak dapat dibaca", timeout=READ_MS)
            off = "window.stream.getTracks().every((track) => track.readyState === 'ended')"
            assert await page.evaluate(off)

            # The camera is also off if its video is removed from the page before it plays.
            await page.evaluate("""() => {
              HTMLMediaElement.prototype.play = function () {
                window.stream = this.srcObject;
                return new Promise((_, reject) => (window.torn = () => reject(new DOMException("", "AbortError"))));
              };
            }""")
            await give_up(page)
            await page.get_by_role("button", name="Nyalakan kamera").click()
            await page.wait_for_function("() => window.torn")
            await page.get_by_role("tab", name="NIK").click()
            await page.evaluate("window.torn()")
            await page.wait_for_function(f"() => {off}")
        await camera.close()


async def test_without_a_camera_a_file_can_be_chosen(client: Page) -> None:
    await client.get_by_role("tab", name="Kamera").click()
    await client.get_by_role("button", name="Nyalakan kamera").click()
    await expect(client.get_by_text("Kamera tidak dapat dipakai")).to_be_visible()


async def test_every_way_to_register_is_accessible_in_both_languages(client: Page) -> None:
    for tab in ("Kamera", "Berkas", "NIK", "Tanpa kartu"):
        await client.get_by_role("tab", name=tab).click()
        await check_accessibility(client)
    await client.keyboard.press("Escape")
    await in_english(client)
    await expect(client.locator("#link")).to_have_text("Connected")
    await client.keyboard.press("d")
    await expect(client.get_by_role("tab", name="Without card")).to_be_visible()
    await check_accessibility(client)

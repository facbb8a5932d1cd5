"""Setting up a clinic in the browser, from the link that the first start prints to the first board."""

import re
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.fixtures.application import ADMIN, GENEROUS, HANG, Application, running
from tests.fixtures.browser.screen import watched
from tests.fixtures.browser.staff_window import DESKTOP, check_accessibility, in_english, signed_in
from tests.fixtures.client import client_at
from tests.fixtures.visitors import CLEAN, card

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application that has not been set up."""
    with running(tmp_path_factory.mktemp("empty"), GENEROUS) as application:
        yield application
        assert application.stop() == 0, application.log


async def go_on(page: Page) -> None:
    await page.locator("#step .row.end .primary").click()


async def test_a_missing_or_wrong_link_is_explained(chromium: Browser, empty: Application) -> None:
    async with watched(chromium, empty.address, **DESKTOP) as page:
        await page.goto("/setup")
        await expect(page.get_by_role("alert")).to_contain_text("tautan yang dicetak MediQ")
        await check_accessibility(page)
        await page.goto("/setup#made-up")
        await page.reload()
        await tell_who(page)
        await go_on(page)
        await expect(page.get_by_role("alert")).to_contain_text("sudah dipakai atau tidak berlaku lagi")
        await expect(page.locator("#step").get_by_role("link", name="Masuk")).to_have_attribute(
            "href", "/signin?next=/setup"
        )


async def tell_who(page: Page) -> None:
    await page.fill("[name=nama]", "Ibu Kepala")
    await page.fill("[name=email]", ADMIN[0])
    await page.fill("[name=password]", ADMIN[1])
    await page.fill("[name=again]", ADMIN[1])


async def test_a_clinic_is_set_up_from_the_link_to_the_first_board(chromium: Browser, empty: Application) -> None:
    title = "#step h2"
    async with watched(chromium, empty.address, **DESKTOP) as page:
        await page.goto(f"/setup#{empty.setup_token}")
        await page.fill("[name=nama]", "Ibu Kepala")
        await in_english(page)
        await expect(page.locator(title)).to_have_text("First administrator")
        await check_accessibility(page)
        await page.get_by_role("link", name="Indonesia").click()
        await expect(page.locator(title)).to_have_text("Administrator pertama")
        await expect(page.locator("[name=nama]")).to_have_value("Ibu Kepala")
        await tell_who(page)
        await page.fill("[name=again]", "lain-sama-sekali")
        await go_on(page)
        await expect(page.get_by_text("Kedua kata sandi tidak sama.")).to_be_visible()
        await page.fill("[name=again]", ADMIN[1])
        await go_on(page)

        await expect(page.locator(title)).to_have_text("Klinik Anda")
        assert "#" not in page.url, "the address no longer holds the token"
        await page.fill("[name=name]", "Klinik Melati")
        await page.get_by_role("radio", name="WITA").check()
        await check_accessibility(page)
        await page.reload()
        await expect(page.locator("[name=name]")).to_have_value("Klinik Melati")
        await expect(page.get_by_role("radio", name="WITA")).to_be_checked()
        await go_on(page)

        await expect(page.locator(title)).to_have_text("Poli")
        await page.get_by_role("button", name="Hapus Poli Gigi").click()
        await page.get_by_role("button", name="Tambah poli").click()
        await page.keyboard.type("KIA")
        await page.fill("[name='services[1].letter']", "k")
        await page.fill("[name='services[1].opens']", "07:30")
        await page.fill("[name='services[1].closes']", "07:30")
        await check_accessibility(page)
        await go_on(page)
        await expect(page.locator(title)).to_have_text("Loket")
        await page.go_back()
        await expect(page.locator("[name='services[1].name']")).to_have_value("KIA")
        await go_on(page)
        await expect(page.locator(title)).to_have_text("Loket")
        await page.fill("[name='counters[0].name']", "Meja 1")
        await check_accessibility(page)
        await go_on(page)

        await expect(page.locator(title)).to_have_text("Poli")
        await expect(page.get_by_role("alert")).to_contain_text("Jam tutup tidak boleh sama dengan jam buka")
        await expect(page.locator("[name='services[1].closes']")).to_be_focused()
        await page.fill("[name='services[1].closes']", "")
        await page.fill("[name='services[1].opens']", "")
        await go_on(page)
        await go_on(page)

        await expect(page.locator(title)).to_have_text("Uji kartu")
        await page.get_by_role("button", name="Baca kartu contoh").click()
        await expect(page.get_by_text(re.compile("Terbaca dalam"))).to_be_visible(timeout=HANG * 1000)
        await expect(page.locator(".facts")).to_contain_text("NUR HALIM")
        await expect(page.get_by_text("Uji ini sudah dibersihkan")).to_be_visible()
        await check_accessibility(page)
        await go_on(page)

        await expect(page.locator(title)).to_have_text("MediQ siap")
        await check_accessibility(page)
        await page.get_by_role("link", name="Papan antrean").click()
        await expect(page.locator("#clinic")).to_have_text("Klinik Melati")

    async with client_at(empty) as client:
        admin = await client.sign_in()
        clinic = (await admin.get("/clinic")).body
        assert (clinic["name"], clinic["timezone"]) == ("Klinik Melati", "Asia/Makassar")
        assert [(each["name"], each["letter"]) for each in clinic["services"]] == [("Poli Umum", "A"), ("KIA", "K")]
        assert [each["name"] for each in clinic["counters"]] == ["Meja 1", "Loket 2", "Loket 3"]
        assert (await admin.get("/users?role=PASIEN")).body["data"] == [], "the patient of the test card is deleted"
        assert (await admin.get("/queue")).body["data"] == []

    async with watched(chromium, empty.address, **DESKTOP) as page:
        await page.goto(f"/setup#{empty.setup_token}")
        await tell_who(page)
        await go_on(page)
        await expect(page.get_by_role("alert")).to_contain_text("sudah dipakai atau tidak berlaku lagi")


async def test_an_old_draft_does_not_overwrite_newer_changes(chromium: Browser, empty: Application) -> None:
    async with signed_in(chromium, empty.address) as page, client_at(empty) as client:
        await page.goto("/setup")
        await page.fill("[name=name]", "Klinik Setengah Jadi")
        await page.goto("/admin/clinic")
        await page.fill("[name=name]", "Klinik Kenanga")
        await page.get_by_role("button", name="Simpan").click()
        await expect(page.get_by_text("Perubahan berlaku di semua layar")).to_be_visible()
        await page.goto("/setup")
        await expect(page.locator("[name=name]")).to_have_value("Klinik Kenanga")

        # A change that is made while the forms are open is not overwritten either.
        await page.fill("[name=name]", "Klinik Tertinggal")
        admin = await client.sign_in()
        before = (await admin.get("/clinic")).body
        counters = [{key: each[key] for key in ("id", "name", "services")} for each in before["counters"]]
        services = [{key: each[key] for key in ("id", "name", "letter")} for each in before["services"]]
        kept = {"name": before["name"], "timezone": before["timezone"], "services": services}
        more = [*counters, {"id": "7", "name": "Loket 7", "services": []}]
        assert (await admin.ask("PUT", "/clinic", json={**kept, "counters": more})).status == 200
        for _ in range(3):
            await go_on(page)
        await expect(page.get_by_role("alert")).to_contain_text("baru saja diubah orang lain")
        assert (await admin.get("/clinic")).body["name"] == "Klinik Kenanga"
        await page.reload()
        await expect(page.locator("[name='counters[3].name']")).to_have_value("Loket 7")
        await go_on(page)
        await expect(page.locator("#step h2")).to_have_text("Uji kartu")
        assert await page.evaluate("localStorage.getItem('mediq.setup')") is None, (
            "the draft is removed once the clinic is stored"
        )


async def test_the_test_card_keeps_a_number_that_its_holder_already_had(chromium: Browser, empty: Application) -> None:
    async with signed_in(chromium, empty.address) as page, client_at(empty) as client:
        admin = await client.sign_in()
        sent = await admin.upload(card(CLEAN[1]), wait=30)
        assert sent.body["status"] == "REGISTERED", sent
        await page.goto("/setup")
        await expect(page.locator("#step h2")).to_have_text(
            "Klinik Anda"
        )  # without this wait the page would store this step after the one below
        await page.evaluate("sessionStorage.setItem('mediq.setup.step', 'card')")
        await page.reload()
        await page.set_input_files("#own-card", {"name": "ktp.jpg", "mimeType": "image/jpeg", "buffer": card(CLEAN[1])})
        await expect(page.get_by_text("sebelum uji ini")).to_be_visible(timeout=HANG * 1000)
        [ticket] = (await admin.get("/queue", params={"status": "WAITING"})).body["data"]
        assert ticket["id"] == sent.body["ticket"]["id"]

"""The administration pages: staff, the clinic's configuration, the report, devices, the audit trail."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.browser.screen import watched
from tests.fixtures.browser.staff_window import check_accessibility, in_english, signed_in
from tests.fixtures.client import Client, client_at
from tests.fixtures.visitors import new_nik

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "kata-sandi-yang-pertama"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application whose clinic this module may change."""
    base = tmp_path_factory.mktemp("office")
    made_with_admin(base)
    with running(base, GENEROUS) as application:
        yield application
        assert application.stop() == 0, application.log


@pytest_asyncio.fixture(loop_scope="session")
async def admin(office: Application) -> AsyncIterator[Client]:
    async with client_at(office) as client:
        await client.ready()
        yield await client.sign_in()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, office: Application, admin: Client) -> AsyncIterator[Page]:
    """A window in which the administrator is signed in."""
    async with signed_in(chromium, office.address) as page:
        yield page


async def serve(admin: Client, people: int, service: str = "umum", counter: str = "1") -> None:
    """Let `people` patients be called and served."""
    for _ in range(people):
        await admin.queue(await admin.register(new_nik()), service=service)
        ticket = (await admin.patch("/queue/call-next", {"counter": counter})).body
        for step in ("start", "complete"):
            assert (await admin.patch(f"/queue/{ticket['id']}/{step}")).status == 200


async def test_an_operator_is_created_signs_in_and_is_deleted(
    chromium: Browser, office: Application, page: Page, admin: Client
) -> None:
    mail = "sari@klinik.example"
    await page.goto("/admin/users")
    await page.get_by_role("button", name="Tambah petugas").click()
    await page.fill("[name=nama]", "Sari")
    await page.fill("[name=email]", mail)
    await page.fill("[name=password]", "pendek")
    add = page.get_by_role("dialog").get_by_role("button", name="Tambah petugas")
    await add.click()
    assert await page.eval_on_selector("[name=password]", "input => !input.validity.valid"), "too short"
    await page.fill("[name=password]", SECRET)
    await add.click()
    await expect(page.get_by_text("Sari dapat masuk sekarang.")).to_be_visible()
    await expect(page.locator("tbody th")).to_have_text(["Sari"])

    async with watched(chromium, office.address) as other:
        await other.goto("/signin")
        await other.fill("#email", mail)
        await other.fill("#password", SECRET)
        await other.click("#enter")
        await expect(other).to_have_url("/operator")
        await other.locator("#counters button").first.click()
        await expect(other.locator("#link")).to_have_text("Terhubung")

        await page.get_by_role("button", name="Kelola Sari").click()
        await page.fill("[name=new_password]", "kata-sandi-yang-kedua")
        await page.get_by_role("button", name="Beri kata sandi baru").click()
        await expect(page.get_by_text("Kata sandi Sari diganti.")).to_be_visible()
        await expect(other).to_have_url(re.compile("/signin"))  # the session has ended, and so has its stream
        await other.fill("#email", mail)
        await other.fill("#password", "kata-sandi-yang-kedua")
        await other.click("#enter")
        await expect(other).to_have_url("/operator")

    await page.get_by_role("button", name="Kelola Sari").click()
    await page.select_option("dialog [name=role]", "ADMIN_FASKES")
    await page.get_by_role("button", name="Ganti peran").click()
    await expect(page.get_by_text("Peran Sari diganti.")).to_be_visible()
    await expect(page.locator("#people .empty")).to_be_visible()
    await page.get_by_role("radio", name="Administrator").check()
    await page.fill("#search", "sari")
    await expect(page.locator("tbody th")).to_have_text(["Sari"])
    await page.get_by_role("button", name="Kelola Sari").click()
    await page.get_by_role("button", name="Hapus").click()
    await expect(page.get_by_text("Hapus Sari?")).to_be_visible()
    await page.get_by_role("dialog").last.get_by_role("button", name="Hapus").click()
    await expect(page.locator("#people .empty")).to_be_visible()
    assert (await admin.get(f"/users?search={mail}")).body["data"] == []


async def test_the_last_administrator_cannot_give_up_the_role(page: Page) -> None:
    await page.goto("/admin/users")
    await page.get_by_role("radio", name="Administrator").check()
    await page.get_by_role("button", name=re.compile("^Kelola")).first.click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect(page.get_by_role("button", name="Hapus")).to_have_count(0)
    await expect(page.get_by_role("button", name="Ganti peran")).to_have_count(0)


async def test_a_change_of_the_clinic_shows_on_every_page_without_a_restart(
    chromium: Browser, office: Application, page: Page, admin: Client
) -> None:
    async with signed_in(chromium, office.address) as counter, watched(chromium, office.address) as board:
        await counter.goto("/operator")
        await counter.locator("#counters button").first.click()
        await board.goto("/display/all")
        await expect(board.locator("#link")).to_have_text("Terhubung")
        await page.goto("/admin/clinic")
        await page.fill("[name=name]", "Klinik Sehat Selalu")
        await page.get_by_role("button", name="Tambah poli").click()
        await page.keyboard.type("Poli Anak")
        await expect(page.locator("[name='services[2].letter']")).to_have_value("C")
        await page.fill("[name='services[2].letter']", "a")
        await page.get_by_role("button", name="Tambah loket").click()
        await page.fill("[name='counters[3].name']", "Loket Anak")
        await page.get_by_role("button", name="Simpan perubahan").click()
        wrong = page.locator(".field", has=page.locator("[name='services[2].letter']")).locator(".wrong")
        await expect(wrong).to_contain_text("A dipakai 2 kali")
        await page.fill("[name='services[2].letter']", "k")
        await page.get_by_role("button", name="Simpan perubahan").click()
        await expect(page.get_by_text("Perubahan berlaku di semua layar.")).to_be_visible()

        await expect(counter.locator("#filter")).to_contain_text("Poli Anak")
        ticket = await admin.queue(await admin.register(new_nik()), service="poli-3")
        assert ticket["number"] == "K-001"
        await expect(board.locator("#clinic")).to_have_text("Klinik Sehat Selalu")
        await expect(board.locator("#waiting")).to_contain_text("Poli Anak")

        # A service with waiting patients and an open counter cannot be removed.
        await page.reload()
        await page.get_by_role("button", name="Hapus Poli Anak").click()
        await page.get_by_role("button", name="Simpan perubahan").click()
        await expect(page.locator("form > [role=alert]")).to_contain_text("Poli Anak masih punya 1 pasien")
        await admin.delete(f"/queue/{ticket['id']}")
        await page.get_by_role("button", name="Simpan perubahan").click()
        await expect(page.get_by_text("Perubahan berlaku di semua layar.")).to_be_visible()
        await expect(counter.locator("#filter")).not_to_contain_text("Poli Anak")


async def test_the_report_shows_the_figures_of_the_queue(page: Page, admin: Client) -> None:
    await serve(admin, 3)
    await serve(admin, 2, "gigi", "3")
    told = (await admin.get("/queue/statistics")).body
    await page.goto("/admin")
    figures = page.locator(".figures .number")
    await expect(figures.nth(0)).to_have_text(str(told["tickets"]))
    await expect(figures.nth(1)).to_have_text(str(told["by_status"]["COMPLETED"]))
    await expect(page.locator("svg.chart")).to_have_count(3)
    by_service = page.get_by_role("region", name="Menurut poli")
    await expect(by_service.locator("tbody tr")).to_have_count(len(told["by_service"]))
    gigi = by_service.locator("tbody tr", has_text="Poli Gigi").locator("td").first
    await expect(gigi).to_have_text(str(told["by_service"]["gigi"]["steps"]))

    await page.select_option("#service", label="Poli Gigi")
    await expect(figures.nth(0)).to_have_text("2")
    async with page.expect_download() as taken:
        await page.get_by_role("link", name="Unduh CSV").click()
    lines = (await (await taken.value).path()).read_text("utf-8-sig").splitlines()
    assert len(lines) == 3, "a header and two visits"
    await page.get_by_role("radio", name="Tanggal lain").check()
    await page.fill("#from", "2020-01-02")
    await page.fill("#to", "2020-01-01")
    await expect(page.get_by_role("alert").first).to_contain_text("Tanggal akhir")
    await page.fill("#to", "2020-01-03")
    await expect(page.get_by_text("Belum ada data pada rentang ini.")).to_be_visible()


async def test_a_device_is_paired_and_revoked(
    chromium: Browser, office: Application, page: Page, admin: Client
) -> None:
    async with signed_in(chromium, office.address) as kiosk:
        await kiosk.goto("/admin/devices")
        await kiosk.fill("[name=nama]", "Kios pintu depan")
        await kiosk.get_by_role("button", name="Jadikan perangkat ini kios").click()
        await kiosk.get_by_role("dialog").get_by_role("button", name="Jadikan perangkat ini kios").click()
        await expect(kiosk).to_have_url("/kiosk")
        await kiosk.goto("/operator")
        await expect(kiosk).to_have_url(re.compile("/signin"))
        await expect(kiosk.locator(".notice.warn")).to_contain_text("kios")
    await page.goto("/admin/devices")
    row = page.locator("#kiosks li", has_text="Kios pintu depan")
    await row.get_by_role("button").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cabut").click()
    await expect(row).to_have_count(0)
    assert (await admin.get("/users?role=KIOSK")).body["data"] == []


async def test_the_audit_trail_is_shown_a_page_at_a_time(page: Page, admin: Client) -> None:
    await serve(admin, 15)
    await page.goto("/admin/audit")
    rows = page.locator("#entries tr")
    await expect(rows).to_have_count(50)
    await expect(rows.first.locator("td").nth(1)).to_contain_text("Administrator")
    await page.get_by_role("button", name="Muat lebih banyak").click()
    await expect(rows.nth(50)).to_be_visible()
    await page.select_option("#action", "auth.")
    await expect(rows.first).to_be_visible()
    await expect(rows.locator("td:nth-child(3)").first).to_have_text(re.compile("Masuk|Keluar|Kata sandi"))
    await expect(page.locator("#entries")).not_to_contain_text("Dipanggil")
    await page.fill("#from", "2020-01-01")
    await page.fill("#to", "2020-01-02")
    await expect(page.get_by_text("Tidak ada yang cocok.")).to_be_visible()
    assert str(await page.get_attribute("#csv", "href")) == "/audit.csv?from=2020-01-01&to=2020-01-02&action=auth."


async def test_each_page_is_accessible_in_both_languages(
    chromium: Browser, office: Application, admin: Client, page: Page
) -> None:
    paths = ("/admin", "/admin/users", "/admin/devices", "/admin/clinic", "/admin/audit")
    async with signed_in(chromium, office.address, color_scheme="dark") as dark:
        for path in paths:
            await dark.goto(path, wait_until="networkidle")
            await check_accessibility(dark)
    await page.goto("/admin")
    await in_english(page)
    for path in paths:
        await page.goto(path, wait_until="networkidle")
        await expect(page.get_by_role("link", name="Audit trail")).to_be_visible()
        await check_accessibility(page)


async def test_the_day_must_be_closed_before_the_time_zone_is_changed(
    chromium: Browser, office: Application, page: Page, admin: Client
) -> None:
    async with signed_in(chromium, office.address) as counter:
        await counter.goto("/operator")
        await counter.locator("#counters button").first.click()
        await expect(counter.locator("#link")).to_have_text("Terhubung")
        await admin.queue(await admin.register(new_nik()))
        waiting = [ticket["status"] for ticket in (await admin.get("/queue")).body["data"]].count("WAITING")
        await page.goto("/admin/clinic")
        await page.get_by_role("radio", name="Jayapura").check()
        save = page.get_by_role("button", name="Simpan")
        await save.click()
        await expect(page.get_by_text("setelah hari ini ditutup").first).to_be_visible()

        await page.get_by_role("button", name="Tutup hari ini").click()
        await check_accessibility(page)
        await page.get_by_role("dialog").get_by_label("Alasan").fill("Pindah zona waktu")
        await page.get_by_role("dialog").get_by_role("button", name="Tutup hari ini").click()
        await expect(page.get_by_text(f"Hari ditutup. {waiting} nomor diakhiri.")).to_be_visible()
        await expect(counter.locator(".tickets li")).to_have_count(0)
        await save.click()
        await expect(page.get_by_text("Perubahan berlaku di semua layar")).to_be_visible()

        # A page that was open before shows the clinic's new time.
        ticket = await admin.queue(await admin.register(new_nik()))
        at = datetime.fromisoformat(ticket["issued_at"]).astimezone(ZoneInfo("Asia/Jayapura"))
        await expect(counter.locator(".tickets .wait").first).to_have_attribute("title", re.compile(f"{at:%H:%M}"))
    entries = (await admin.get("/audit", params={"action": "queue.day-closed"})).body["data"]
    assert [entry["why"] for entry in entries] == ["Pindah zona waktu"]

"""Signing in and out: access to pages, redirects, error texts and the change of a password."""

import re

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.fixtures.application import ADMIN, Application
from tests.fixtures.browser.screen import intercept, watched
from tests.fixtures.browser.staff_window import DESKTOP, check_accessibility, enter, in_english, signed_in
from tests.fixtures.client import PASSWORD, Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def sign_in(page: Page, who: tuple[str, str]) -> None:
    await page.fill("#email", who[0])
    await page.fill("#password", who[1])
    await page.click("#enter")


async def test_signing_in_leads_to_the_wanted_page_and_signing_out_works_on_every_page(page: Page) -> None:
    await page.goto("/operator?from=bookmark")
    await expect(page).to_have_url("/signin?next=/operator%3Ffrom%3Dbookmark")
    await sign_in(page, (ADMIN[0], "bukan-kata-sandinya"))
    await expect(page.get_by_role("alert")).to_have_text("Email atau kata sandi salah.")
    await expect(page.locator("#password")).to_be_focused()
    await expect(page.locator("#password")).to_have_value("")
    await sign_in(page, ADMIN)
    await expect(page).to_have_url("/operator?from=bookmark")
    assert await page.evaluate("document.cookie") == "", "scripts cannot read the session"
    await page.click("#signout")
    await expect(page).to_have_url(re.compile("/signin"))
    await page.goto("/operator")
    await expect(page).to_have_url("/signin?next=/operator")


@pytest.mark.parametrize(
    "wish", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "/signin"]
)
async def test_signing_in_never_redirects_to_another_site(page: Page, clinic: Application, wish: str) -> None:
    await page.goto("/signin")
    await page.evaluate("wish => history.replaceState(null, '', `?next=${encodeURIComponent(wish)}`)", wish)
    await sign_in(page, ADMIN)
    await expect(page).to_have_url("/admin")


async def test_a_role_without_access_is_told_so_and_may_sign_in_as_another_user(
    page: Page, staff: Client, clinic: Application
) -> None:
    await staff.hire("loket@klinik.example")
    await enter(page, clinic.address, ("loket@klinik.example", PASSWORD))
    await page.goto("/operator")
    await expect(page.get_by_role("link", name="Administrasi")).to_have_count(0)
    await page.goto("/admin")
    await expect(page).to_have_url("/signin?next=/admin")
    await expect(page.locator(".notice").first).to_contain_text("Petugas loket")
    await sign_in(page, ADMIN)
    await expect(page).to_have_url("/admin")


async def test_too_many_wrong_passwords_give_a_text(page: Page) -> None:
    """The limit here is one attempt; the limits themselves have their own tests."""

    async def refuse(route: Route) -> None:
        problem = {"type": "urn:mediq:too-many", "detail": "Terlalu banyak permintaan. Tunggu sebentar."}
        await route.fulfill(status=429, headers={"Retry-After": "30"}, json=problem)

    await page.goto("/signin")
    await intercept(page, "**/session", refuse)
    await sign_in(page, ADMIN)
    await expect(page.get_by_role("alert")).to_have_text("Terlalu banyak permintaan. Tunggu sebentar.")


async def test_users_change_their_own_password(chromium: Browser, staff: Client, clinic: Application) -> None:
    mail, new = "sandi@klinik.example", "kata-sandi-yang-baru"
    await staff.hire(mail)
    async with signed_in(chromium, clinic.address, (mail, PASSWORD)) as page:
        await page.goto("/operator")
        await page.click("#account")
        await page.fill("[name=current_password]", "bukan-kata-sandinya")
        await page.fill("[name=new_password]", new)
        await page.fill("[name=again]", f"{new}!")
        save = page.get_by_role("button", name="Simpan kata sandi")
        await save.click()
        await expect(page.get_by_text("Kedua kata sandi baru tidak sama.")).to_be_visible()
        await page.fill("[name=again]", new)
        await save.click()
        await expect(page.locator("dialog [role=alert], dialog .wrong").filter(has_text="sandi")).to_be_visible()
        await page.fill("[name=current_password]", PASSWORD)
        await save.click()
        await expect(page.get_by_text("Kata sandi sudah diganti.")).to_be_visible()
        await expect(page.locator("dialog")).to_have_count(0)
    async with watched(chromium, clinic.address) as page:
        await page.goto("/signin")
        await sign_in(page, (mail, new))
        await expect(page).to_have_url("/operator")


async def test_the_page_is_accessible_in_both_languages(chromium: Browser, clinic: Application) -> None:
    async with watched(chromium, clinic.address, color_scheme="dark", **DESKTOP) as page:
        await page.goto("/signin")
        await check_accessibility(page)
    async with watched(chromium, clinic.address, **DESKTOP) as page:
        await page.goto("/signin?next=/operator")
        await in_english(page)
        await expect(page).to_have_url("/signin?next=/operator")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await check_accessibility(page)

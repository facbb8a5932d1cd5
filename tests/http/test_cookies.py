"""The session cookie: no script reads it, and it counts for requests of our own pages alone."""

import json
import time
from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie

import jwt
import pytest

from tests.fixtures.application import ADMIN, Application
from tests.fixtures.client import PASSWORD, Client, Reply, browser_at

ELSEWHERE = "http://jahat.example"


@pytest.fixture
async def browser(application: Application, admin: Client) -> AsyncIterator[Client]:
    """A browser without a session."""
    async with browser_at(application) as browser:
        yield browser


async def sign_in(browser: Client, email: str = ADMIN[0], password: str = ADMIN[1]) -> Reply:
    answer = await browser.post("/session", {"email": email, "password": password})
    assert answer.status == 200, answer
    return answer


def cookie_of(reply: Reply) -> Morsel[str]:
    """The cookie that a response sets."""
    jar: SimpleCookie = SimpleCookie(reply.headers["Set-Cookie"])
    assert list(jar) == ["mediq_session"]
    return jar["mediq_session"]


def own(browser: Client) -> str:
    """The token in the browser's cookie."""
    [cookie] = [each for each in browser.http.cookie_jar if each.key == "mediq_session"]
    return str(cookie.value)


def signed(application: Application, token: str, **changes: int) -> str:
    """The same token with other claims, signed as the application signs."""
    secret = json.loads((application.folder / "secrets.json").read_text())["jwt_secret"]
    return str(jwt.encode(jwt.decode(token, options={"verify_signature": False}) | changes, secret))


def holding(token: str) -> dict[str, str]:
    return {"Cookie": f"mediq_session={token}"}


async def test_signing_in_gives_a_cookie_and_no_token(browser: Client) -> None:
    answer = await sign_in(browser)
    assert set(answer.body) == {"user"}
    assert answer.body["user"]["email"] == ADMIN[0]
    cookie = cookie_of(answer)
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert (cookie["secure"], cookie["domain"]) == ("", ""), "this application is reached over http"
    assert int(cookie["max-age"]) == 12 * 3600
    assert cookie.value not in json.dumps(answer.body)
    profile = await browser.get("/users/profile")
    assert (profile.status, profile.body["email"]) == (200, ADMIN[0])
    assert "Set-Cookie" not in profile.headers, "it is young"


async def test_a_wrong_password_gives_no_cookie(browser: Client) -> None:
    refused = await browser.post("/session", {"email": ADMIN[0], "password": "salah-sama-sekali"})
    assert (refused.status, refused.problem) == (401, "credentials-wrong")
    assert "Set-Cookie" not in refused.headers


async def test_signing_out_ends_the_session_and_deletes_the_cookie(browser: Client, client: Client) -> None:
    await sign_in(browser)
    token = own(browser)
    answer = await browser.delete("/session")
    assert answer.status == 200
    assert (cookie_of(answer).value, cookie_of(answer)["max-age"]) == ("", "0")
    assert (await browser.get("/users/profile")).status == 401
    kept = await client.get("/users/profile", headers=holding(token))
    assert (kept.status, kept.problem) == (401, "unauthenticated"), "a copy of the cookie is worth nothing either"


async def test_signing_in_again_ends_the_previous_session(browser: Client, admin: Client) -> None:
    await sign_in(browser)
    first = own(browser)
    refused = await browser.post("/session", {"email": ADMIN[0], "password": "salah-sama-sekali"})
    assert refused.status == 401
    assert (await admin.showing(first).get("/users/profile")).status == 200, "a wrong password ends nothing"
    operator = await admin.hire("ganti-jaga@klinik.example")
    await sign_in(browser, "ganti-jaga@klinik.example", PASSWORD)
    left = await admin.showing(first).get("/users/profile")
    assert (left.status, left.problem) == (401, "session-ended")
    assert (await browser.get("/users/profile")).body["id"] == operator.id
    trail = (await admin.get(f"/audit?actor={operator.id}&limit=2")).body["data"]
    assert [(each["action"], each["subject"]) for each in trail] == [
        ("auth.logout", admin.id),
        ("auth.login", operator.id),
    ]
    assert (await admin.get("/users/profile")).status == 200, "other sessions of theirs go on"


async def test_a_bearer_token_takes_precedence_over_the_cookie(browser: Client, admin: Client) -> None:
    operator = await admin.hire("dua-wajah@klinik.example")
    await sign_in(browser)
    profile = await Client(browser.http, operator.tokens).get("/users/profile")
    assert profile.body["id"] == operator.id
    refused = await browser.get("/users/profile", headers={"Authorization": "Bearer x"})
    assert (refused.status, refused.problem) == (401, "token-invalid")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ELSEWHERE},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
    ],
)
async def test_another_site_changes_nothing_by_the_cookie(browser: Client, headers: dict[str, str]) -> None:
    await sign_in(browser)
    for method, path, body in (
        ("POST", "/queue/undo", {"counter": "1"}),
        ("PATCH", "/queue/call-next", {"counter": "1"}),
        ("DELETE", "/users/0000", None),
        ("DELETE", "/session", None),
        ("GET", "/auth/logout", None),
    ):
        refused = await browser.ask(method, path, json=body, headers=headers)
        assert (refused.status, refused.problem) == (403, "cross-site"), (method, path)
    credentials = {"email": ADMIN[0], "password": ADMIN[1]}
    refused = await browser.post("/session", credentials, headers=headers)
    assert (refused.status, refused.problem) == (403, "cross-site"), "nor signs anybody in"
    assert (await browser.get("/users/profile", headers=headers)).status == 200, "reading does no harm"


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_sec_fetch_site_takes_precedence_over_the_origin(browser: Client, site: str) -> None:
    await sign_in(browser)
    headers = {"Sec-Fetch-Site": site, "Origin": ELSEWHERE}
    taken = await browser.post("/users", {"nonsense": "x"}, headers=headers)
    assert (taken.status, taken.fields) == (422, ["nonsense"])


async def test_a_bearer_token_is_valid_from_any_site(admin: Client) -> None:
    taken = await admin.post("/users", {"nonsense": "x"}, headers={"Origin": ELSEWHERE})
    assert taken.status == 422, "no browser sends it by itself"


async def test_a_cookie_is_renewed_in_the_second_half_of_its_life(
    browser: Client, client: Client, application: Application
) -> None:
    await sign_in(browser)
    young = own(browser)
    old = signed(application, young, exp=int(time.time()) + 5 * 3600)
    answer = await client.get("/users/profile", headers=holding(old))
    assert answer.status == 200
    renewed = jwt.decode(cookie_of(answer).value, options={"verify_signature": False})
    first = jwt.decode(young, options={"verify_signature": False})
    assert renewed["exp"] >= first["exp"]
    assert (renewed["sub"], renewed["sid"]) == (first["sub"], first["sid"])
    fresh = signed(application, young, exp=int(time.time()) + 7 * 3600)
    answer = await client.get("/users/profile", headers=holding(fresh))
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("kind", ["nonsense", "expired", "ended"])
async def test_an_invalid_cookie_is_deleted(
    browser: Client, client: Client, application: Application, kind: str
) -> None:
    await sign_in(browser)
    token = own(browser)
    if kind == "nonsense":
        token = "nonsense"
    elif kind == "expired":
        token = signed(application, token, exp=int(time.time()) - 1)
    else:
        await browser.delete("/session")
    refused = await client.get("/users/profile", headers=holding(token))
    assert (refused.status, refused.problem) == (401, "unauthenticated")
    assert (cookie_of(refused).value, cookie_of(refused)["max-age"]) == ("", "0")


async def test_a_change_of_role_ends_the_browsers_session(browser: Client, admin: Client) -> None:
    operator = await admin.hire("naik-pangkat@klinik.example")
    await sign_in(browser, "naik-pangkat@klinik.example", PASSWORD)
    assert (await browser.get("/queue")).status == 200
    await admin.patch(f"/users/{operator.id}/role", {"role": "PASIEN"})
    assert (await browser.get("/queue")).status == 401


async def test_an_event_stream_opens_with_the_cookie_and_ends_with_the_session(browser: Client) -> None:
    await sign_in(browser)
    async with browser.events("/events/operator") as stream:
        assert (await stream.next()) is not None
        assert (await browser.delete("/session")).status == 200
        while await stream.next() is not None:
            pass
    refused = await browser.get("/events/operator")
    assert (refused.status, refused.problem) == (401, "unauthenticated")

"""The routes of the pages, who may open them, in which language, and errors as people read them."""

import io
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
import msgspec
import segno
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from markupsafe import Markup

from mediq.actors.queue.rules import public_views as public
from mediq.config import Http
from mediq.domain.errors import NotFound
from mediq.domain.roles import Role
from mediq.http.auth import Authenticator
from mediq.http.event_feeds import EventFeeds
from mediq.http.pages import translations as words
from mediq.http.pages.assets import Assets
from mediq.http.rate_limits import RateLimiter
from mediq.http.request_context import request_context
from mediq.http.routes import ADMIN, STAFF, Limit
from mediq.messages.errors import Unauthenticated
from mediq.messages.principal import Principal

LANGUAGE_COOKIE: Final = "mediq_lang"
_YEAR: Final = 365 * 86_400
_HERE: Final = Path(__file__).parent


class Page(msgspec.Struct, frozen=True):
    """A page that is the same for everyone `who` may open it; None for anyone."""

    path: str
    template: str
    who: frozenset[Role] | None = None


PAGES: Final = (
    Page("/setup", "setup.html"),
    Page("/signin", "signin.html"),
    Page("/operator", "operator.html", STAFF),
    Page("/admin", "report.html", ADMIN),
    Page("/admin/users", "users.html", ADMIN),
    Page("/admin/devices", "devices.html", ADMIN),
    Page("/admin/clinic", "clinic.html", ADMIN),
    Page("/admin/audit", "audit.html", ADMIN),
)


class Pages:
    """Everything that a browser shows."""

    def __init__(
        self,
        authenticator: Authenticator,
        limiter: RateLimiter,
        boards: EventFeeds,
        settings: Http,
        upload_max_size: int,
    ) -> None:
        self._authenticator = authenticator
        self._limiter = limiter
        self._boards = boards
        self._public_url = settings.public_url.rstrip("/")
        self._open_registration = settings.registration == "open"
        self._words = words.load()
        self._assets = Assets(_HERE / "static")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {
            "asset": self._assets.address,
            "script": self._script,
            "upload_max_size": upload_max_size,
            "version": self._assets.version,
        }

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for page in PAGES:
            app.router.add_get(page.path, self._counted(self._page(page)))
        app.router.add_get("/display/{board}", self._counted(self._board))
        app.router.add_get("/kiosk", self._counted(self._kiosk))
        app.router.add_get("/t/{token}", self._counted(self._ticket))
        app.router.add_get("/t/{token}/qr.svg", self._counted(self._qr))
        app.router.add_get("/language/{language}", self._choose)
        app.router.add_get("/favicon.ico", self._favicon)
        app.router.add_get("/static/{path:.+}", self._assets.serve)

    def home_or(self, handler: Handler) -> Handler:
        """The home page for browsers, where programs get the answer of `handler`."""
        show = self._counted(self._home)

        async def home(request: web.Request) -> web.StreamResponse:
            return await (show if wants_page(request) else handler)(request)

        return home

    def render_error(self, request: web.Request, answer: web.Response) -> web.Response:
        """A problem as a browser shows it to people; as it is to programs."""
        if not wants_page(request):
            return answer
        assert isinstance(answer.body, bytes)
        page = self._error(request, answer.status, json.loads(answer.body))
        for name in (hdrs.RETRY_AFTER, hdrs.ALLOW, hdrs.WWW_AUTHENTICATE):
            if name in answer.headers:
                page.headers[name] = answer.headers[name]
        return page

    def render(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page in the language of whoever asks."""
        spoken = self._words[language_of(request)]
        text = self._templates.get_template(template).render(
            t=spoken, lang=spoken.language, clinic=self._boards.clinic, path=request.path_qs, role=None, **values
        )
        headers = {"Vary": "Cookie, Accept, Accept-Encoding"}
        response = web.Response(text=text, status=status, content_type="text/html", headers=headers)
        response.enable_compression()
        return response

    def _page(self, page: Page) -> Handler:
        async def show(request: web.Request) -> web.StreamResponse:
            principal = await self._identify(request)
            if page.who is not None and (principal is None or principal.role not in page.who):
                return see(f"/signin?next={quote(request.path_qs, safe='/')}")
            return self.render(request, page.template, principal=principal)

        return show

    def _counted(self, show: Handler) -> Handler:
        """The same page, counted: by account where a token names one, else by address. Nobody is looked up for it."""

        async def counted(request: web.Request) -> web.StreamResponse:
            try:
                named = self._authenticator.named(request)
            except Unauthenticated:
                named = None
            await self._limiter.count(request, named, Limit.PAGE)
            return await show(request)

        return counted

    async def _identify(self, request: web.Request) -> Principal | None:
        """Whoever is signed in in this browser; a session that is over is none."""
        try:
            return await self._authenticator.identify(request)
        except Unauthenticated:
            return None

    async def _board(self, request: web.Request) -> web.Response:
        board = request.match_info["board"]
        services = public.board_services(board, self._boards.clinic)
        return self.render(request, "board.html", board=board, services=services)

    def _script(self, name: str) -> Markup:
        """A script, and all that it imports asked for at once instead of one after the other."""
        address = self._assets.address
        links = "".join(f'<link rel="modulepreload" href="{address(each)}">' for each in self._assets.imports(name))
        return Markup(f'{links}<script type="module" src="{address(name)}"></script>')  # noqa: S704

    async def _kiosk(self, request: web.Request) -> web.Response:
        """Whoever may upload a card alone gets the kiosk; an administrator may pair the device, others are told how."""
        principal = await self._identify(request)
        role = principal.role if principal else None
        paired = self._open_registration or role is Role.KIOSK
        return self.render(request, "kiosk.html", paired=paired, may_pair=role is Role.ADMIN_FASKES)

    async def _ticket(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        self._boards.ticket(token)
        return self.render(request, "ticket.html", token=token, qr=self._reached(request) is not None)

    async def _qr(self, request: web.Request) -> web.Response:
        """The way to a ticket's page as a picture for phones."""
        token = request.match_info["token"]
        self._boards.ticket(token)
        if (address := self._reached(request)) is None:
            raise NotFound("Alamat MediQ untuk ponsel pasien belum diatur (public_url).", code="no-public-url")
        picture = io.BytesIO()
        segno.make_qr(f"{address}/t/{token}").save(picture, kind="svg", border=2, xmldecl=False)
        return web.Response(body=picture.getvalue(), content_type="image/svg+xml")

    def _reached(self, request: web.Request) -> str | None:
        """The address under which patients' phones reach this house, or None when nobody has told one."""
        host = request.url.host or ""
        alone = host == "localhost" or host.startswith("127.") or host == "::1"
        return self._public_url or (None if alone else f"{request_context(request).origin.scheme}://{request.host}")

    async def _choose(self, request: web.Request) -> web.Response:
        """Remember a language in this browser and go back to the page."""
        language = request.match_info["language"]
        if language not in words.LANGUAGES:
            raise NotFound("Bahasa ini tidak ada.", code="no-language")
        response = see(local(request.query.get("next", "/")))
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR, path="/", httponly=True, samesite="Lax")
        return response

    async def _favicon(self, request: web.Request) -> web.Response:
        return see(self._assets.address("logo.svg"))

    async def _home(self, request: web.Request) -> web.Response:
        return self.render(request, "home.html")

    def _error(self, request: web.Request, status: int, problem: dict[str, Any]) -> web.Response:
        spoken = self._words[language_of(request)]
        known = f"error.{status}" in spoken
        title = spoken(f"error.{status}") if known else problem.get("title", HTTPStatus(status).phrase)
        detail = problem["detail"] if spoken.language == words.LANGUAGES[0] else spoken("error.detail")
        return self.render(request, "error.html", status=status, code=status, title=title, detail=detail)


def see(address: str) -> web.Response:
    """Send a browser on to another page."""
    return web.Response(status=303, headers={"Location": address})


def language_of(request: web.Request) -> str:
    """The language that was chosen in this browser, or the clinic's own."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in words.LANGUAGES else words.LANGUAGES[0]


def wants_page(request: web.Request) -> bool:
    """Whether it is a browser that asks for something to show."""
    return request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and "text/html" in request.headers.get(hdrs.ACCEPT, "")


def local(address: str) -> str:
    """The address if it is one of this very site, else the home page: nobody is sent elsewhere."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"

"""The web pages: their routes, access, language, and errors as pages."""

import hashlib
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
from mediq.http.pages import translations
from mediq.http.pages.assets import Assets
from mediq.http.rate_limits import RateLimiter
from mediq.http.request_context import request_context
from mediq.http.routes import ADMIN, STAFF, Limit
from mediq.messages.errors import Unauthenticated
from mediq.messages.principal import Principal

LANGUAGE_COOKIE: Final = "mediq_lang"
_YEAR: Final = 365 * 86_400
_HERE: Final = Path(__file__).parent


class PageRoute(msgspec.Struct, frozen=True):
    """A page that only renders its template. `who` are the roles that may open it, None for anyone."""

    path: str
    template: str
    who: frozenset[Role] | None = None


PAGE_ROUTES: Final = (
    PageRoute("/setup", "setup.html"),
    PageRoute("/signin", "signin.html"),
    PageRoute("/operator", "operator.html", STAFF),
    PageRoute("/admin", "report.html", ADMIN),
    PageRoute("/admin/users", "users.html", ADMIN),
    PageRoute("/admin/devices", "devices.html", ADMIN),
    PageRoute("/admin/clinic", "clinic.html", ADMIN),
    PageRoute("/admin/audit", "audit.html", ADMIN),
)


class WebPages:
    """Serves the pages, and the static files that they load.

    A page that needs more than its template has a handler of its own here; the others are rows of `PAGE_ROUTES`.
    """

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
        self._translations = translations.load()
        self._assets = Assets(_HERE / "static")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        shown = {"upload_max_size": upload_max_size}  # the settings that pages show
        self._templates.globals |= {
            "asset": self._assets.address,
            "script": self._script,
            # A board that has been open for weeks reloads itself when files or settings are other than it has.
            "version": hashlib.sha256(json.dumps([self._assets.version, shown]).encode()).hexdigest()[:16],
            **shown,
        }

    def add_to(self, app: web.Application) -> None:
        """Add the routes to the application."""
        for page in PAGE_ROUTES:
            app.router.add_get(page.path, self._counted(self._template_page(page)))
        app.router.add_get("/display/{board}", self._counted(self._board))
        app.router.add_get("/kiosk", self._counted(self._kiosk))
        app.router.add_get("/t/{token}", self._counted(self._ticket))
        app.router.add_get("/t/{token}/qr.svg", self._counted(self._qr))
        app.router.add_get("/language/{language}", self._choose_language)
        app.router.add_get("/favicon.ico", self._favicon)
        app.router.add_get("/static/{path:.+}", self._assets.serve)

    def home_or(self, handler: Handler) -> Handler:
        """A handler that shows browsers the home page, and gives programs the response of `handler`."""
        show = self._counted(self._home)

        async def home(request: web.Request) -> web.StreamResponse:
            return await (show if wants_page(request) else handler)(request)

        return home

    def render_error(self, request: web.Request, problem: web.Response) -> web.Response:
        """The error page for a problem document, or the document itself if the request is not a browser's."""
        if not wants_page(request):
            return problem
        assert isinstance(problem.body, bytes)
        page = self._error(request, problem.status, json.loads(problem.body))
        for name in (hdrs.RETRY_AFTER, hdrs.ALLOW, hdrs.WWW_AUTHENTICATE):
            if name in problem.headers:
                page.headers[name] = problem.headers[name]
        return page

    def render(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page from a template, in the language of the request. `values` are variables of the template."""
        translation = self._translations[language_of(request)]
        text = self._templates.get_template(template).render(
            t=translation,
            lang=translation.language,
            clinic=self._boards.clinic,
            path=request.path_qs,
            role=None,
            **values,
        )
        headers = {"Vary": "Cookie, Accept, Accept-Encoding"}
        response = web.Response(text=text, status=status, content_type="text/html", headers=headers)
        response.enable_compression()
        return response

    def _template_page(self, page: PageRoute) -> Handler:
        async def show(request: web.Request) -> web.StreamResponse:
            principal = await self._identify(request)
            if page.who is not None and (principal is None or principal.role not in page.who):
                return redirect(f"/signin?next={quote(request.path_qs, safe='/')}")
            return self.render(request, page.template, principal=principal)

        return show

    def _counted(self, show: Handler) -> Handler:
        """A handler that counts requests for a page, by the account in the token or else by address.

        The token alone names the account, so counting asks no service.
        """

        async def counted(request: web.Request) -> web.StreamResponse:
            try:
                named = self._authenticator.named(request)
            except Unauthenticated:
                named = None
            await self._limiter.count(request, named, Limit.PAGE)
            return await show(request)

        return counted

    async def _identify(self, request: web.Request) -> Principal | None:
        """The user who is signed in in this browser, or None. A session that has ended counts as none."""
        try:
            return await self._authenticator.identify(request)
        except Unauthenticated:
            return None

    async def _board(self, request: web.Request) -> web.Response:
        board = request.match_info["board"]
        services = public.board_services(board, self._boards.clinic)
        return self.render(request, "board.html", board=board, services=services)

    def _script(self, name: str) -> Markup:
        """The script element, with preloads of all its imports so that the browser fetches them at once."""
        address = self._assets.address
        links = "".join(f'<link rel="modulepreload" href="{address(each)}">' for each in self._assets.imports(name))
        return Markup(f'{links}<script type="module" src="{address(name)}"></script>')  # noqa: S704

    async def _kiosk(self, request: web.Request) -> web.Response:
        """The kiosk on a paired device or where registration is open; else how to pair the device."""
        principal = await self._identify(request)
        role = principal.role if principal else None
        paired = self._open_registration or role is Role.KIOSK
        return self.render(request, "kiosk.html", paired=paired, may_pair=role is Role.ADMIN_FASKES)

    async def _ticket(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        self._boards.ticket(token)
        return self.render(request, "ticket.html", token=token, qr=self._public_address(request) is not None)

    async def _qr(self, request: web.Request) -> web.Response:
        """A QR code with the address of a ticket's page."""
        token = request.match_info["token"]
        self._boards.ticket(token)
        if (address := self._public_address(request)) is None:
            raise NotFound("Alamat MediQ untuk ponsel pasien belum diatur (public_url).", code="no-public-url")
        picture = io.BytesIO()
        segno.make_qr(f"{address}/t/{token}").save(picture, kind="svg", border=2, xmldecl=False)
        return web.Response(body=picture.getvalue(), content_type="image/svg+xml")

    def _public_address(self, request: web.Request) -> str | None:
        """The address at which patients' phones reach MediQ, or None if it is unknown."""
        host = request.url.host or ""
        loopback = host == "localhost" or host.startswith("127.") or host == "::1"
        return self._public_url or (None if loopback else f"{request_context(request).origin.scheme}://{request.host}")

    async def _choose_language(self, request: web.Request) -> web.Response:
        """Remember the chosen language in a cookie and go back to the page."""
        language = request.match_info["language"]
        if language not in translations.LANGUAGES:
            raise NotFound("Bahasa ini tidak ada.", code="no-language")
        response = redirect(on_this_site(request.query.get("next", "/")))
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR, path="/", httponly=True, samesite="Lax")
        return response

    async def _favicon(self, request: web.Request) -> web.Response:
        return redirect(self._assets.address("logo.svg"))

    async def _home(self, request: web.Request) -> web.Response:
        return self.render(request, "home.html")

    def _error(self, request: web.Request, status: int, problem: dict[str, Any]) -> web.Response:
        translation = self._translations[language_of(request)]
        known = f"error.{status}" in translation
        title = translation(f"error.{status}") if known else problem.get("title", HTTPStatus(status).phrase)
        detail = problem["detail"] if translation.language == translations.LANGUAGES[0] else translation("error.detail")
        return self.render(request, "error.html", status=status, code=status, title=title, detail=detail)


def redirect(address: str) -> web.Response:
    """A redirect to another page (303)."""
    return web.Response(status=303, headers={"Location": address})


def language_of(request: web.Request) -> str:
    """The language chosen in this browser, or else the first language."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in translations.LANGUAGES else translations.LANGUAGES[0]


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks for a page to show."""
    return request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and "text/html" in request.headers.get(hdrs.ACCEPT, "")


def on_this_site(address: str) -> str:
    """The address if it belongs to this site, else the home page, so that no link redirects to another site."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"

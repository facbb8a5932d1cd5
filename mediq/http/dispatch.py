"""Serves the routes of the table: authenticates, counts, validates, asks the service and encodes the reply."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from mediq.actors.cards.messages import CardStatus
from mediq.actors.users.auth_messages import SignedIn
from mediq.domain.roles import Role
from mediq.http import cookie
from mediq.http.auth import Authenticator, authorise, bearer, refuse_other_sites
from mediq.http.file_responses import send
from mediq.http.health import GatewayHealth
from mediq.http.idempotency_keys import IdempotencyKeys
from mediq.http.rate_limits import RateLimiter
from mediq.http.request_context import request_context
from mediq.http.routes import Body, Cookie, Limit, Route
from mediq.http.uploads import CardUpload, UploadHandler, wanted_wait
from mediq.http.validation import convert
from mediq.messages.document import Document
from mediq.messages.errors import Forbidden, Invalid, Malformed, Unauthenticated, Unsupported
from mediq.messages.health import CheckHealth, CheckHealthInDetail
from mediq.messages.principal import Principal
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context, current

_JSON: Final = "application/json"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class Dispatcher:
    """Turns the rows of the route table into aiohttp handlers.

    Messages of the gateway's own health are answered by `health`, all others by their service over the bus.
    """

    def __init__(
        self,
        bus: Bus,
        authenticator: Authenticator,
        limiter: RateLimiter,
        uploads: UploadHandler,
        keys: IdempotencyKeys,
        health: GatewayHealth,
    ) -> None:
        self._bus = bus
        self._authenticator = authenticator
        self._limiter = limiter
        self._uploads = uploads
        self._keys = keys
        self._answers: dict[type, Callable[[], Awaitable[Any]]] = {
            CheckHealth: health.check,
            CheckHealthInDetail: health.check_in_detail,
        }

    def handler(self, route: Route) -> Handler:
        """The aiohttp handler of one route."""
        shows_token = not route.signs_in  # a browser may still send the token of a session that has ended
        keyed, harmless, gives = route.keyed, route.harmless, route.cookie is Cookie.GIVE
        is_card, strict = route.body is Body.CARD, route.body is not Body.QUERY
        read = self._reader(route.body)
        answer = self._answers.get(route.message)

        async def handle(request: web.Request) -> web.StreamResponse:
            began = self._bus.clock()
            principal = await self.admit(
                request,
                route.who,
                route.limit,
                shows_token=shows_token,
                impersonal=route.impersonal,
                harmless=harmless,
            )
            # One deadline covers authentication and the ask; the time to receive a large body does not count.
            left = self._bus.timeout - (self._bus.clock() - began)
            if route.cookie is not None:
                refuse_other_sites(request)
            if gives and principal is None:
                current.set(
                    Context(principal=self._authenticator.former(request), headers=request_context(request).headers)
                )
            content = _with_path(await read(request), request)
            asked: Any = convert(content, CardUpload if is_card else route.message, strict=strict)
            if not _owns(principal, route, asked):
                raise Forbidden("Pasien hanya boleh mengurus antreannya sendiri.")
            key = self._keys.key(request, principal, asked) if keyed else None
            reply: Any
            if answer is not None:
                reply = await answer()
            elif isinstance(asked, CardUpload):
                reply = await self._uploads.submit(asked, key=key, timeout=left)
            elif route.account is None:
                reply = await self._bus.ask(asked, key=key, timeout=left)
            else:
                reply = await self._attempt(request, asked, route.account(asked), left)
            if route.cookie is not None:
                reply = self._cookie(request, route.cookie, reply)
            if is_card:
                return await self._card(request, reply)
            if isinstance(reply, Document):
                return await send(request, reply, lambda before: self._part(asked, before))
            return _json(reply, route.status)

        return handle

    async def _part(self, message: Any, before: str) -> Document:
        """The next part of the file that `message` asks for."""
        part: Document = await self._bus.ask(msgspec.structs.replace(message, before=before))
        return part

    async def _attempt(self, request: web.Request, message: Any, account: str, timeout: float) -> Any:
        """Ask to sign in; a failure counts against the account."""
        await self._limiter.refuse_guessing(request, account)
        try:
            return await self._bus.ask(message, timeout=timeout)
        except Unauthenticated:
            await self._limiter.count_failure(request, account)
            raise

    async def admit(
        self,
        request: web.Request,
        who: frozenset[Role] | None,
        limit: Limit,
        *,
        shows_token: bool = True,
        impersonal: bool = False,
        harmless: bool = True,
    ) -> Principal | None:
        """Authenticate and count a request, check the caller's role, and set the context of its messages.

        An `impersonal` route answers everyone alike: a token then only tells whose calls to count, and its session is
        not checked. A request that is not `harmless` is done for a cookie only if one of our own pages sent it.
        `shows_token` is False where a token in the request is ignored.

        Raises:
            Unauthenticated, Forbidden: the caller may not make this request.
            TooMany: the caller has made too many.
        """
        principal = None
        try:
            if impersonal:
                await self._limiter.count(request, self._authenticator.named(request), limit)
            elif shows_token:
                principal = await self._authenticator.identify(request, harmless=harmless)
        except (Unauthenticated, Forbidden):
            await self._limiter.count(request, None, limit)
            raise
        context = request_context(request)
        context.principal = principal
        if not impersonal:
            await self._limiter.count(request, principal, limit)
        authorise(principal, who)
        if principal is not None:
            current.set(Context(principal=principal, headers=context.headers))
        return principal

    def _cookie(self, request: web.Request, change: Cookie, reply: Any) -> Any:
        """Set or delete the browser's cookie; returns what the body may still say."""
        if change is Cookie.TAKE:
            cookie.take(request)
            return reply
        self._authenticator.give_cookie(request, reply)
        return SignedIn(user=reply.user)

    def _reader(self, body: Body) -> Callable[[web.Request], Awaitable[dict[str, Any]]]:
        """The function that reads the request data outside of its path."""
        return {
            Body.QUERY: _query,
            Body.JSON: _json_object,
            Body.CARD: self._uploads.read,
            Body.REFRESH_TOKEN: _refresh_token,
        }[body]

    async def _card(self, request: web.Request, accepted: CardStatus) -> web.Response:
        """The answer to an upload: the result if the caller waits for it and it comes in time, else the status."""
        seconds = wanted_wait(request)
        headers = {"Location": f"/ocr/result/{accepted.id}"}
        if seconds and (result := await self._uploads.result(accepted.id, seconds)) is not None:
            if result.status.final:
                return _json(result, 200, headers | {"Preference-Applied": f"wait={seconds:.0f}"})
            accepted = CardStatus(id=result.id, status=result.status)
        return _json(accepted, 202, headers)


def _owns(principal: Principal | None, route: Route, message: Any) -> bool:
    """Whether the message is about the caller; some routes demand that of patients."""
    if route.own is None or principal is None or principal.staff:
        return True
    return bool(getattr(message, route.own) == principal.user_id)


def _json(reply: Any, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=_encode(reply), status=status, headers=headers, content_type=_JSON)


def _with_path(tree: dict[str, Any], request: web.Request) -> dict[str, Any]:
    """The request data with the parameters of its path."""
    for name, value in request.match_info.items():
        if name in tree:
            raise Invalid.field(name, "sudah ada di alamat")
        tree[name] = value
    return tree


async def _query(request: web.Request) -> dict[str, Any]:
    tree = {}
    for name in request.query:
        values = request.query.getall(name)
        if len(values) > 1:
            raise Invalid.field(name, "diberikan dua kali")
        tree[name] = values[0]
    return tree


async def _refresh_token(request: web.Request) -> dict[str, Any]:
    if (token := bearer(request)) is None:
        raise Unauthenticated("Kirim refresh token di header Authorization.")
    return {"refresh_token": token}


async def _json_object(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    if not body:
        return {}
    if request.headers.get(hdrs.CONTENT_TYPE) != _JSON and request.content_type != _JSON:  # with parameters
        raise Unsupported("Kirim isi permintaan sebagai application/json.")
    try:
        tree = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last for deeply nested brackets
        raise Malformed("Isi permintaan bukan JSON yang benar.") from None
    if not isinstance(tree, dict):
        raise Malformed("Isi permintaan harus berupa objek JSON.")
    return tree

"""The table of routes: method, path, message, roles. The dispatcher, OpenAPI and the tests read this one table."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from mediq.actors.audit import messages as audit
from mediq.actors.cards import messages as ocr
from mediq.actors.queue import messages as queue
from mediq.actors.queue.rules import commands
from mediq.actors.users import auth_messages as auth
from mediq.actors.users import messages as user
from mediq.domain.roles import Role
from mediq.messages import health
from mediq.messages.registry import Request

ADMIN: Final = frozenset({Role.ADMIN_FASKES})
STAFF: Final = frozenset({Role.OPERATOR, Role.ADMIN_FASKES})
PEOPLE: Final = frozenset({Role.PASIEN, Role.OPERATOR, Role.ADMIN_FASKES})
KIOSK: Final = frozenset({Role.KIOSK})


class Limit(StrEnum):
    """The rate limit that a route counts against."""

    GENERAL = "general"
    LOGIN = "login"
    CARD = "card"
    NIK = "nik"
    PAGE = "page"


class Body(StrEnum):
    """Where a route finds the data that is not in its path."""

    QUERY = "query"
    JSON = "json"
    CARD = "card"
    REFRESH_TOKEN = "refresh-token"  # noqa: S105 - the name of a kind


class Cookie(StrEnum):
    """Whether a route sets or deletes the cookie of the browser that calls it."""

    GIVE = "give"
    TAKE = "take"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    `who` are the roles that may call it; None allows everyone. `own` names the field of the message that must hold the
    caller's id if the caller is a patient. `account` takes from the message the account whose failed attempts a
    stricter limit counts. `status` is that of a success. A route with a `cookie` is for our own pages alone, and its
    response holds no tokens. An `impersonal` route answers everyone alike, even while no session can be checked.
    """

    method: str
    path: str
    message: type[Request[Any]]
    who: frozenset[Role] | None
    own: str | None = None
    body: Body = Body.QUERY
    status: int = 200
    limit: Limit = Limit.GENERAL
    account: Callable[[Any], str] | None = None
    cookie: Cookie | None = None
    impersonal: bool = False

    @property
    def signs_in(self) -> bool:
        """Whether it is for callers who are not signed in yet, or no longer."""
        return self.who is None and (self.limit is Limit.LOGIN or self.body is Body.REFRESH_TOKEN)

    @property
    def keyed(self) -> bool:
        """Whether it accepts an Idempotency-Key. Signing in does not, since a response with tokens is never stored."""
        return self.method != "GET" and not self.signs_in and self.cookie is None

    @property
    def harmless(self) -> bool:
        """Whether it changes nothing, so that another site may make a browser call it. `GET /auth/logout` is not."""
        return self.method == "GET" and self.message is not auth.Logout


def table(*, open_registration: bool) -> tuple[Route, ...]:
    """Every route that stands for a message; with `open_registration` everyone may upload a card."""
    json, login = Body.JSON, Limit.LOGIN
    uploaders = None if open_registration else STAFF | KIOSK

    def ticket_route(verb: str, message: type[Request[Any]]) -> Route:
        return Route(method="PATCH", path=f"/queue/{{id}}/{verb}", message=message, who=STAFF, body=json)

    return (
        Route(method="GET", path="/", message=health.CheckHealth, who=None, impersonal=True),
        Route(method="GET", path="/health", message=health.CheckHealthInDetail, who=None, impersonal=True),
        Route(
            method="POST",
            path="/auth/login/admin",
            message=auth.LoginAdmin,
            who=None,
            body=json,
            limit=login,
            account=lambda message: message.email.casefold(),
        ),
        Route(
            method="POST",
            path="/auth/login/user",
            message=auth.LoginUser,
            who=None,
            body=json,
            limit=login,
            account=lambda message: message.nik,
        ),
        Route(
            method="GET",
            path="/auth/refresh",
            message=auth.Refresh,
            who=None,
            body=Body.REFRESH_TOKEN,
        ),
        Route(method="GET", path="/auth/logout", message=auth.Logout, who=PEOPLE),
        Route(
            method="POST",
            path="/session",
            message=auth.LoginAdmin,
            who=None,
            body=json,
            limit=login,
            account=lambda message: message.email.casefold(),
            cookie=Cookie.GIVE,
        ),
        Route(method="DELETE", path="/session", message=auth.Logout, who=PEOPLE, cookie=Cookie.TAKE),
        Route(method="POST", path="/auth/logout-all", message=auth.LogoutAll, who=PEOPLE, body=json),
        Route(method="POST", path="/auth/setup", message=auth.SetUp, who=None, body=json, limit=login),
        Route(method="POST", path="/users", message=user.CreateUser, who=ADMIN, body=json, status=201),
        Route(
            method="POST",
            path="/users/create-from-ocr",
            message=user.CreateFromOcr,
            who=STAFF,
            body=json,
            status=201,
        ),
        Route(method="GET", path="/users/check-nik/{nik}", message=user.CheckNik, who=STAFF, limit=Limit.NIK),
        Route(method="GET", path="/users/profile", message=user.GetProfile, who=PEOPLE),
        Route(
            method="PATCH",
            path="/users/password",
            message=auth.ChangePassword,
            who=PEOPLE,
            body=json,
            limit=login,
        ),
        Route(method="PATCH", path="/users/{id}/password", message=auth.ResetPassword, who=ADMIN, body=json),
        Route(method="GET", path="/users/{id}", message=user.ReadUser, who=STAFF),
        Route(method="GET", path="/users", message=user.FindUsers, who=ADMIN),
        Route(method="PATCH", path="/users/{id}/role", message=user.UpdateRole, who=ADMIN, body=json),
        Route(method="DELETE", path="/users/{id}", message=user.DeleteUser, who=ADMIN),
        Route(
            method="POST",
            path="/devices",
            message=user.CreateDevice,
            who=ADMIN,
            body=json,
            status=201,
            cookie=Cookie.GIVE,
        ),
        Route(method="GET", path="/audit", message=audit.FindAudit, who=ADMIN),
        Route(method="GET", path="/audit.csv", message=audit.ExportAudit, who=ADMIN),
        Route(
            method="POST",
            path="/ocr/process-ktp",
            message=ocr.ProcessKtp,
            who=uploaders,
            body=Body.CARD,
            status=202,
            limit=Limit.CARD,
        ),
        Route(method="GET", path="/ocr/status/{id}", message=ocr.GetCardStatus, who=None),
        Route(method="GET", path="/ocr/result/{id}", message=ocr.GetCardResult, who=None),
        Route(method="GET", path="/ocr/reviews", message=ocr.FindReviews, who=STAFF),
        Route(method="GET", path="/ocr/image/{id}", message=ocr.GetCardImage, who=STAFF),
        Route(method="POST", path="/ocr/confirm/{id}", message=ocr.ConfirmCard, who=STAFF, body=json),
        Route(
            method="POST",
            path="/queue/add",
            message=commands.AddPatient,
            who=PEOPLE,
            own="user_id",
            body=json,
            status=201,
        ),
        Route(method="GET", path="/queue/status/{user_id}", message=queue.GetStatus, who=PEOPLE, own="user_id"),
        Route(method="PATCH", path="/queue/call-next", message=commands.CallNext, who=STAFF, body=json),
        ticket_route("recall", commands.Recall),
        ticket_route("start", commands.Start),
        ticket_route("complete", commands.Complete),
        ticket_route("skip", commands.Skip),
        ticket_route("requeue", commands.Requeue),
        ticket_route("hold", commands.Hold),
        ticket_route("resume", commands.Resume),
        ticket_route("priority", commands.Prioritise),
        ticket_route("transfer", commands.Transfer),
        Route(method="POST", path="/queue/counters/{counter}/open", message=commands.OpenCounter, who=STAFF, body=json),
        Route(
            method="POST", path="/queue/counters/{counter}/close", message=commands.CloseCounter, who=STAFF, body=json
        ),
        Route(method="POST", path="/queue/close-day", message=commands.CloseDay, who=ADMIN, body=json),
        Route(method="POST", path="/queue/undo", message=commands.Undo, who=STAFF, body=json),
        Route(method="DELETE", path="/queue/{id}", message=commands.Cancel, who=PEOPLE),
        Route(method="GET", path="/queue", message=queue.ListTickets, who=STAFF),
        Route(method="GET", path="/clinic", message=queue.GetClinic, who=None, impersonal=True),
        Route(method="PUT", path="/clinic", message=commands.Configure, who=ADMIN, body=json),
        Route(method="GET", path="/queue/statistics", message=queue.GetStatistics, who=STAFF),
        Route(method="GET", path="/queue/statistics.csv", message=queue.ExportStatistics, who=ADMIN),
    )

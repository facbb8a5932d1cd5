"""The codes of all errors: the last word of a problem's `type`, its meaning, and the routes that answer it.

Each code stands here once. A route answers the codes that name its message or its path, and those that follow from the
route itself: who may call it, how its body is read, whether it heeds an `Idempotency-Key`.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from mediq.http.openapi import components
from mediq.http.problem import STATUS, TITLES
from mediq.http.routes import Body, Route
from mediq.messages import errors
from mediq.messages.registry import spec_of

URN: Final = "urn:mediq:"


class ErrorCode(msgspec.Struct, frozen=True):
    """The meaning of a code in a sentence, and the `routes` whose rules answer it.

    A route is named by the wire pattern of its message, such as `queue.undo`. A text that starts with a slash, such as
    `/queue/{id}`, names all routes whose path starts so.
    """

    meaning: str
    routes: tuple[str, ...] = ()

    def answered_by(self, route: Route) -> bool:
        """Whether a rule of the route's message answers this code."""
        pattern = spec_of(route.message).pattern
        return any(route.path.startswith(each) if each.startswith("/") else each == pattern for each in self.routes)


CODES: Final[dict[type[errors.DomainError | errors.Fault], dict[str, ErrorCode]]] = {
    errors.Malformed: {
        "malformed": ErrorCode("The body is not a JSON object, or not a form that can be read."),
        "upload-too-slow": ErrorCode("The picture took longer than half a minute to arrive."),
    },
    errors.Unauthenticated: {
        "unauthenticated": ErrorCode("Nobody is signed in.", ("auth.refresh",)),
        "token-invalid": ErrorCode("The token is not one of ours, or not of this kind.", ("auth.refresh",)),
        "token-expired": ErrorCode("The token has expired: refresh it, or sign in again.", ("auth.refresh",)),
        "session-ended": ErrorCode(
            "The session has ended: the user signed out, was deleted, or got another role.",
            ("auth.login.admin", "auth.login.user", "auth.refresh", "auth.setup"),
        ),
        "session-expired": ErrorCode("The session was not refreshed in time.", ("auth.refresh",)),
        "token-reused": ErrorCode(
            "This refresh token was exchanged before, so the session has been ended.", ("auth.refresh",)
        ),
        "credentials-wrong": ErrorCode(
            "There is no such account, or the secret is wrong. The response does not tell which.",
            ("auth.login.admin", "auth.login.user"),
        ),
        "setup-token-unknown": ErrorCode(
            "The set-up link is not the one that the last start printed.", ("auth.setup",)
        ),
    },
    errors.Forbidden: {
        "forbidden": ErrorCode("The caller's role may not do this, or not to another user."),
        "cross-site": ErrorCode("The request carries a browser's cookie, but does not come from one of our own pages."),
        "patient-login-off": ErrorCode("Patients do not sign in at this clinic.", ("auth.login.user",)),
        "no-password": ErrorCode("The account does not sign in with a password.", ("auth.change-password",)),
        "priority-by-staff": ErrorCode("Only staff may give a priority.", ("ocr.process-ktp", "queue.add-patient")),
    },
    errors.NotFound: {
        "not-found": ErrorCode("Nothing has this address."),
        "no-board": ErrorCode("There is no such board."),
        "no-card": ErrorCode(
            "There is no such card, or it has expired.",
            ("ocr.get-status", "ocr.get-result", "ocr.get-image", "ocr.confirm"),
        ),
        "no-image": ErrorCode("The picture was erased.", ("ocr.get-image", "ocr.process-ktp")),
        "no-ticket": ErrorCode("There is no such ticket, or its day is over.", ("/queue/{id}", "queue.get-status")),
        "nobody-waiting": ErrorCode("Nobody waits for a service of this counter.", ("queue.call-next",)),
        "job-not-found": ErrorCode("The card expired meanwhile.", ("ocr.confirm",)),
        "user-not-found": ErrorCode(
            "There is no such user.", ("/users/{id}", "user.profile", "auth.refresh", "queue.add-patient")
        ),
        "user-deleted": ErrorCode(
            "The user that this key created has since been deleted.",
            ("user.create", "user.create-from-ocr", "ocr.confirm"),
        ),
    },
    errors.Conflict: {
        "already-queued": ErrorCode(
            "The patient already waits there.", ("queue.requeue", "queue.transfer", "queue.undo")
        ),
        "already-set-up": ErrorCode("There is an administrator already.", ("auth.setup",)),
        "being-served": ErrorCode(
            "The patient is being served, so only staff may withdraw the ticket now.", ("queue.cancel",)
        ),
        "card-in-progress": ErrorCode(
            "The card is being read: wait for its result.", ("ocr.process-ktp", "ocr.confirm")
        ),
        "closed": ErrorCode("The service is closed at this hour.", ("ocr.confirm", "queue.add-patient")),
        "counter-busy": ErrorCode("The counter still has a patient.", ("queue.call-next", "queue.close-counter")),
        "counter-in-use": ErrorCode("The counter is open: close it before removing it.", ("queue.configure",)),
        "clinic-changed": ErrorCode(
            "Someone else has changed the clinic since the caller read it.", ("queue.configure",)
        ),
        "day-open": ErrorCode("A day is open: close it before changing the time zone.", ("queue.configure",)),
        "email-taken": ErrorCode("Another user has this e-mail address.", ("auth.setup", "user.create")),
        "job-moved-on": ErrorCode("Someone else was faster with this card.", ("ocr.confirm",)),
        "key-reused": ErrorCode("The Idempotency-Key stands for another request."),
        "letter-used": ErrorCode("Another service has issued numbers with this letter today.", ("queue.configure",)),
        "last-admin": ErrorCode("There must always be one administrator.", ("user.updateRole", "user.delete")),
        "nik-taken": ErrorCode("Another user has this NIK.", ("user.create",)),
        "no-email": ErrorCode("An account without an e-mail address has no password.", ("auth.reset-password",)),
        "already-registered": ErrorCode("The card is registered with other fields than these.", ("ocr.confirm",)),
        "not-in-review": ErrorCode("The card does not wait for a review.", ("ocr.confirm",)),
        "own-password": ErrorCode(
            "Users who change their own password must give the present one too.", ("auth.reset-password",)
        ),
        "nothing-to-undo": ErrorCode("The counter has done nothing that can be undone.", ("queue.undo",)),
        "recall-limit": ErrorCode("The patient was called often enough: skip the ticket.", ("queue.recall",)),
        "role-of-device": ErrorCode("A device keeps its role.", ("user.updateRole",)),
        "service-in-use": ErrorCode(
            "Patients wait for the service: serve them before removing it.", ("queue.configure",)
        ),
        "service-gone": ErrorCode("The ticket's service is no longer offered.", ("queue.requeue", "queue.undo")),
        "undo-superseded": ErrorCode("Something else has happened to the ticket since.", ("queue.undo",)),
        "undo-too-late": ErrorCode("The action is too long ago to be undone.", ("queue.undo",)),
        "wrong-status": ErrorCode("The ticket's status does not allow this.", ("/queue/{id}",)),
    },
    errors.TooLarge: {
        "request-entity-too-large": ErrorCode("The body is larger than 64 KiB."),
        "too-large": ErrorCode("The picture has more bytes than allowed."),
        "image-too-large": ErrorCode("The picture has more pixels than allowed."),
    },
    errors.Unsupported: {
        "unsupported": ErrorCode("The body has another media type than this route reads."),
        "unsupported-image": ErrorCode("The file is not a picture that can be read, whatever its name says."),
    },
    errors.Invalid: {
        "invalid": ErrorCode("A value in the request is not possible; `errors` names the field."),
        "password-wrong": ErrorCode("The present password is wrong.", ("auth.change-password",)),
    },
    errors.TooMany: {
        "too-many": ErrorCode("Too many requests: `Retry-After` gives the seconds after which to ask again."),
    },
    errors.Unavailable: {
        "unavailable": ErrorCode("A part of MediQ cannot be reached."),
        "unroutable": ErrorCode("No process of the service is running."),
        "mailbox-full": ErrorCode("The service has more requests than it can take."),
        "breaker-open": ErrorCode("The service has failed too often lately and is given time to recover."),
    },
    errors.StorageFull: {"storage-full": ErrorCode("The disk is full; nothing was written.")},
    errors.Expired: {"timeout": ErrorCode("The service did not answer in time. It may have acted all the same.")},
}
"""Every code that reaches a caller, under the error that carries it."""

_OF_BODY: Final = {
    Body.JSON: ("malformed", "request-entity-too-large", "unsupported"),
    Body.CARD: ("malformed", "upload-too-slow", "too-large", "image-too-large", "unsupported", "unsupported-image"),
}
_OF_EVERY_ROUTE: Final = ("too-many", "unavailable", "unroutable", "mailbox-full", "breaker-open", "timeout")
_HEADERS: Final = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}


def codes_of(route: Route) -> set[str]:
    """Every code that a route may answer."""
    by_rule = {code for codes in CODES.values() for code, error in codes.items() if error.answered_by(route)}
    return by_rule.union(_OF_EVERY_ROUTE, _of_the_route_itself(route))


def responses(codes: set[str]) -> dict[str, dict[str, Any]]:
    """The responses that carry these codes, by status."""
    by_status: dict[int, dict[str, str]] = {}
    for error, members in CODES.items():
        if found := {code: members[code].meaning for code in members if code in codes}:
            by_status.setdefault(STATUS[error], {}).update(found)
    return {str(status): _response(status, by_status[status]) for status in sorted(by_status)}


def _of_the_route_itself(route: Route) -> Iterator[str]:
    yield from _OF_BODY.get(route.body, ())
    if route.body is not Body.REFRESH_TOKEN:
        yield "invalid"
    if route.keyed:
        yield "key-reused"
    if "{" in route.path:
        yield "not-found"
    if route.who is not None:
        yield from ("unauthenticated", "forbidden")
    if not route.signs_in:
        yield from ("token-invalid", "token-expired")
        if not route.impersonal:
            yield "session-ended"
    if not route.harmless:
        yield from ("cross-site", "storage-full")


def _response(status: int, meanings: dict[str, str]) -> dict[str, Any]:
    listed = "\n".join(f"- `{code}`: {meaning}" for code, meaning in meanings.items())
    this_status = {"status": {"const": status}, "type": {"enum": [URN + code for code in meanings]}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": this_status}]}
    return {
        "description": f"{TITLES[status]}.\n\n{listed}",
        "headers": components.headers(*_HEADERS.get(status, ())),
        "content": {"application/problem+json": {"schema": schema}},
    }

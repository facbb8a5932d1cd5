"""Which refusals and faults a route may answer with, each by the code that its problem's type ends in."""

from collections.abc import Iterator
from typing import Any, Final

from mediq.http.problem import STATUS, TITLES
from mediq.http.routes import Body, Route
from mediq.messages import errors
from mediq.messages.registry import spec_of

PREFIX: Final = "urn:mediq:"
MEANINGS: Final[dict[type[errors.DomainError | errors.Fault], dict[str, str]]] = {
    errors.Malformed: {
        "malformed": "The body is no JSON object, or no form that can be read.",
        "upload-too-slow": "The picture took longer than half a minute to arrive.",
    },
    errors.Unauthenticated: {
        "unauthenticated": "Nobody is signed in.",
        "token-invalid": "The token is none of ours, or not of this kind.",
        "token-expired": "The token's time is over: refresh it, or sign in again.",
        "session-ended": "The session has ended: signed out, deleted, or given another role.",
        "session-expired": "Nobody refreshed the session in time.",
        "token-reused": "This refresh token was exchanged before; the session is ended.",
        "credentials-wrong": "No such account, or the wrong secret for it; which of the two is not told.",
        "setup-token-unknown": "The set-up link is not the one that the last start printed.",
    },
    errors.Forbidden: {
        "forbidden": "The caller's role may not do this, or not to somebody else.",
        "cross-site": "A browser's cookie came along, but the request was not made by one of our own pages.",
        "patient-login-off": "Patients do not sign in at this clinic.",
        "no-password": "The account does not sign in with a password.",
        "priority-by-staff": "Only staff give anyone a priority.",
    },
    errors.NotFound: {
        "not-found": "Nothing has this address.",
        "no-board": "There is no such board.",
        "no-card": "There is no such card, or its time is over.",
        "no-image": "The picture was erased.",
        "no-ticket": "There is no such ticket, or its day is over.",
        "nobody-waiting": "Nobody waits for what this counter takes.",
        "job-not-found": "The card's time ran out meanwhile.",
        "user-not-found": "There is no such user.",
        "user-deleted": "The user that this key created was deleted since.",
    },
    errors.Conflict: {
        "already-queued": "The patient waits there already.",
        "already-set-up": "There is an administrator already.",
        "being-served": "The patient is being served: only staff withdraw the ticket now.",
        "card-in-progress": "The card is being read: wait for its result.",
        "closed": "The service is closed at this hour.",
        "counter-busy": "The counter still has a patient.",
        "counter-in-use": "The counter is open: close it before it goes.",
        "clinic-changed": "Someone else has changed the clinic since it was looked at.",
        "day-open": "A day is open: close it before the time zone changes.",
        "email-taken": "Another user has this e-mail address.",
        "job-moved-on": "Someone else was faster with this card.",
        "key-reused": "The Idempotency-Key stands for another request.",
        "letter-used": "Another service gave out numbers with this letter today.",
        "last-admin": "There must always be one administrator.",
        "nik-taken": "Another user has this NIK.",
        "no-email": "An account without an e-mail address has no password.",
        "already-registered": "The card is registered, with other fields than these.",
        "not-in-review": "The card does not wait for a look.",
        "own-password": "Whoever changes their own password gives the present one too.",
        "nothing-to-undo": "The counter has done nothing that could be taken back.",
        "recall-limit": "The patient was called often enough: skip them.",
        "role-of-device": "A device keeps its role.",
        "service-in-use": "Patients wait for the service: serve them before it goes.",
        "service-gone": "The ticket's service is no longer offered.",
        "undo-superseded": "Something else has happened to the ticket since.",
        "undo-too-late": "The action is too long ago to be taken back.",
        "wrong-status": "The ticket's status does not allow this.",
    },
    errors.TooLarge: {
        "request-entity-too-large": "The body is larger than 64 KiB.",
        "too-large": "The picture has more bytes than are taken.",
        "image-too-large": "The picture has more pixels than are taken.",
    },
    errors.Unsupported: {
        "unsupported": "The body is of another media type than this route reads.",
        "unsupported-image": "The file is no picture that can be read, whatever its name says.",
    },
    errors.Invalid: {
        "invalid": "Something in the request is not possible; `errors` says which field.",
        "password-wrong": "The present password is another.",
    },
    errors.TooMany: {"too-many": "Asked too often: `Retry-After` says in how many seconds to ask again."},
    errors.Unavailable: {
        "unavailable": "A part of the house is out of reach.",
        "unroutable": "No process of the service is running.",
        "mailbox-full": "The service has more to do than it can take.",
        "breaker-open": "The service failed too often of late and is given time.",
    },
    errors.StorageFull: {"storage-full": "The disk is full; nothing was written."},
    errors.Expired: {"timeout": "The service did not answer in time; it may have acted all the same."},
}
"""Every code that reaches a caller, under the error that carries it."""

_TICKET: Final = ("no-ticket", "wrong-status")
OF_MESSAGE: Final[dict[str, tuple[str, ...]]] = {
    "auth.login.admin": ("credentials-wrong", "session-ended"),
    "auth.login.user": ("credentials-wrong", "patient-login-off", "session-ended"),
    "auth.refresh": (
        "unauthenticated",
        "token-invalid",
        "token-expired",
        "token-reused",
        "session-ended",
        "session-expired",
        "user-not-found",
    ),
    "auth.change-password": ("no-password", "password-wrong"),
    "auth.reset-password": ("user-not-found", "no-email", "own-password"),
    "auth.setup": ("setup-token-unknown", "already-set-up", "email-taken", "session-ended"),
    "user.create": ("nik-taken", "email-taken", "user-deleted"),
    "user.create-from-ocr": ("user-deleted",),
    "user.profile": ("user-not-found",),
    "user.read": ("user-not-found",),
    "user.updateRole": ("user-not-found", "last-admin", "role-of-device"),
    "user.delete": ("user-not-found", "last-admin"),
    "ocr.process-ktp": ("priority-by-staff", "card-in-progress"),
    "ocr.get-status": ("no-card",),
    "ocr.get-result": ("no-card",),
    "ocr.get-image": ("no-card", "no-image"),
    "ocr.confirm": (
        "no-card",
        "job-not-found",
        "already-registered",
        "not-in-review",
        "card-in-progress",
        "job-moved-on",
        "closed",
        "user-deleted",
    ),
    "queue.add-patient": ("user-not-found", "closed", "priority-by-staff"),
    "queue.get-status": ("no-ticket",),
    "queue.call-next": ("nobody-waiting", "counter-busy"),
    "queue.recall": (*_TICKET, "recall-limit"),
    "queue.start": _TICKET,
    "queue.complete": _TICKET,
    "queue.skip": _TICKET,
    "queue.requeue": (*_TICKET, "already-queued", "service-gone"),
    "queue.hold": _TICKET,
    "queue.resume": _TICKET,
    "queue.prioritise": _TICKET,
    "queue.transfer": (*_TICKET, "already-queued"),
    "queue.cancel": (*_TICKET, "being-served"),
    "queue.undo": (
        "nothing-to-undo",
        "undo-too-late",
        "undo-superseded",
        "already-queued",
        "service-gone",
    ),
    "queue.close-counter": ("counter-busy",),
    "queue.configure": ("clinic-changed", "day-open", "service-in-use", "counter-in-use", "letter-used"),
}
"""What a message's own rules refuse, by its pattern; the rest follows from the route."""

_BODIES: Final = {
    Body.JSON: ("malformed", "request-entity-too-large", "unsupported"),
    Body.CARD: ("malformed", "upload-too-slow", "too-large", "image-too-large", "unsupported", "unsupported-image"),
}
_FAULTS: Final = ("unavailable", "unroutable", "mailbox-full", "breaker-open", "timeout")
_KIND: Final = {code: kind for kind, codes in MEANINGS.items() for code in codes}


def codes_of(route: Route) -> set[str]:
    """Every code that a route may answer with."""
    return {"too-many", *_FAULTS, *_codes(route)}


def _codes(route: Route) -> Iterator[str]:
    yield from OF_MESSAGE.get(spec_of(route.message).pattern, ())
    yield from _BODIES.get(route.body, ())
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


def responses(codes: set[str]) -> dict[str, dict[str, Any]]:
    """The responses that carry these codes, by status."""
    by_status: dict[int, list[str]] = {}
    for kind, meanings in MEANINGS.items():
        found = [code for code in meanings if code in codes]
        if found:
            by_status.setdefault(STATUS[kind], []).extend(found)
    return {str(status): _response(status, by_status[status]) for status in sorted(by_status)}


def meaning(code: str) -> str:
    """What a code says, in a sentence."""
    return MEANINGS[_KIND[code]][code]


def _response(status: int, codes: list[str]) -> dict[str, Any]:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    for name in {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}.get(status, ()):
        headers[name] = {"$ref": f"#/components/headers/{name}"}
    listed = "\n".join(f"- `{code}`: {meaning(code)}" for code in codes)
    return {
        "description": f"{TITLES[status]}.\n\n{listed}",
        "headers": headers,
        "content": {
            "application/problem+json": {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {
                            "properties": {
                                "status": {"const": status},
                                "type": {"enum": [PREFIX + code for code in codes]},
                            }
                        },
                    ]
                }
            }
        },
    }

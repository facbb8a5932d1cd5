"""Tokens: what was signed is believed for its time, in its place, and nothing else is."""

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.actors.users.tokens import Tokens, hashed
from mediq.domain.roles import Role
from mediq.messages.errors import Unauthenticated
from mediq.messages.principal import Principal

ACCESS, REFRESH = "a" * 40, "r" * 40
SITI = Principal("siti", Role.PASIEN, "session-1")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(ACCESS, REFRESH, access_seconds=900, refresh_seconds=3600, clock=clock)


def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        tokens.principal(token)
    return refused.value.code


def test_an_access_token_names_its_principal_until_it_expires(tokens: Tokens, clock: Clock) -> None:
    token = tokens.access(SITI)
    assert tokens.principal(token) == (SITI, int(clock.now) + 900)
    clock.now += 899
    assert tokens.principal(token)[0] == SITI
    clock.now += 1
    assert refusal(tokens, token) == "token-expired"


def test_only_the_hash_of_a_refresh_token_is_stored(tokens: Tokens, clock: Clock) -> None:
    token, kept = tokens.refresh("session-1")
    claims = tokens.refresh_claims(token)
    assert (claims.session_id, claims.secret_hash) == ("session-1", kept)
    assert kept not in token
    assert tokens.refresh("session-1")[1] != kept
    assert len(hashed("x")) == 64
    clock.now += 3600
    with pytest.raises(Unauthenticated):
        tokens.refresh_claims(token)


def test_access_and_refresh_tokens_are_not_interchangeable(tokens: Tokens) -> None:
    assert refusal(tokens, tokens.refresh("session-1")[0]) == "token-invalid"
    with pytest.raises(Unauthenticated):
        tokens.refresh_claims(tokens.access(SITI))


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_a_token_signed_with_another_algorithm_is_refused(tokens: Tokens, clock: Clock, algorithm: str) -> None:
    claims = {"sub": "siti", "role": "ADMIN_FASKES", "sid": "s", "exp": clock.now + 60}
    token = jwt.encode(claims, "" if algorithm == "none" else ACCESS.ljust(64, "a"), algorithm)
    assert refusal(tokens, token) == "token-invalid"


@pytest.mark.parametrize("missing", ["sub", "role", "sid", "exp"])
def test_a_token_without_one_of_its_claims_is_refused(tokens: Tokens, clock: Clock, missing: str) -> None:
    claims = {"sub": "siti", "role": "PASIEN", "sid": "s", "exp": int(clock.now) + 60}
    del claims[missing]
    assert refusal(tokens, jwt.encode(claims, ACCESS, "HS256")) == "token-invalid"


@given(st.text(max_size=200))
def test_any_other_text_is_refused_as_an_invalid_token(text: str) -> None:
    assert refusal(Tokens(ACCESS, REFRESH), text) == "token-invalid"

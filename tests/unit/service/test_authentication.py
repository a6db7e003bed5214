"""API keys as texts."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import Unauthenticated
from service.services.authentication import compose, digest, new_secret, parse

TENANT, KEY = uuid.uuid4(), uuid.uuid4()


def test_a_key_says_where_to_look_and_nothing_shows_its_secret() -> None:
    secret = new_secret()
    key = compose(TENANT, KEY, secret)
    claim = parse(key.reveal())
    assert (claim.tenant_id, claim.key_id, claim.secret.reveal()) == (TENANT, KEY, secret)
    assert secret not in f"{claim!r} {key!r} {key}"


def test_secrets_are_random_and_survive_a_double_click() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9A-Za-z]{43}", one) for one in made)
    assert len(digest(made.pop())) == 32


@given(st.text(max_size=200))
def test_anything_else_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        parse(text)
    assert caught.value.message == "this is not an API key of the form jx_..."


@pytest.mark.parametrize(
    "change", [str.upper, lambda key: key + "x", lambda key: key[:-1], lambda key: f" {key}", lambda key: f"{key}\n"]
)
def test_close_is_not_enough(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Unauthenticated):
        parse(change(compose(TENANT, KEY, new_secret()).reveal()))

"""Slugs, addresses and names."""

from __future__ import annotations

import pytest

from service.core.errors import InvalidInput
from service.services.naming import valid_email, valid_name, valid_slug


@pytest.mark.parametrize("slug", ["acme", "a1b", "acme-west-2", "a" * 40])
def test_slugs(slug: str) -> None:
    assert valid_slug(slug) == slug


@pytest.mark.parametrize(
    "slug", ["", "ab", "a" * 41, "Acme", "1acme", "-acme", "acme-", "ac me", "ac_me", "äcme", "acme\n", "acme/.."]
)
def test_what_is_no_slug(slug: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        valid_slug(slug)
    assert (caught.value.field, caught.value.code) == ("slug", "INVALID")
    assert "3 to 40" in caught.value.message
    assert "acme" in caught.value.hint


@pytest.mark.parametrize(
    "email", ["alice@acme.example", "a.b+c@x-y.example", "a@localhost", "A@B.Example", f"{'a' * 64}@b.example"]
)
def test_addresses(email: str) -> None:
    assert valid_email(f" {email} ") == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "alice",
        "@b.example",
        "a@",
        "a@b@c.example",
        "a b@c.example",
        ".a@b.example",
        "a.@b.example",
        "a..b@c.example",
        "a@-b.example",
        "a@b..example",
        "a@b.example\nx",
        f"{'a' * 65}@b.example",
        f"a@{'b.' * 130}example",
    ],
)
def test_what_is_no_address(email: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        valid_email(email)
    assert caught.value.field == "email"


def test_names() -> None:
    assert valid_name("  Acme Gmbh & Söhne ") == "Acme Gmbh & Söhne"
    for name in ("", "  ", "x" * 201, "a\x00b", "a\nb", "a\x1b[31m"):
        with pytest.raises(InvalidInput):
            valid_name(name)

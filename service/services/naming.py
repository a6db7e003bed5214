"""What people call things: slugs, addresses, names."""

from __future__ import annotations

import re

from service.core.errors import InvalidInput

_SLUG = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
# What browsers accept as an address, plus RFC 5321's lengths: enough to notice mistakes. Only a message proves one.
_EMAIL = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


def valid_slug(slug: str) -> str:
    """`slug`, if it is one. Raises InvalidInput."""
    if not _SLUG.fullmatch(slug):
        raise InvalidInput(
            "a slug has 3 to 40 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen",
            field="slug",
            hint="for example: acme, or acme-west-2",
        )
    return slug


def valid_email(email: str) -> str:
    """`email` without blanks around it, if it looks like an address. Raises InvalidInput."""
    email = email.strip()
    local = email.partition("@")[0]
    if len(email) > 254 or not _EMAIL.fullmatch(email) or ".." in local or local.startswith(".") or local.endswith("."):
        raise InvalidInput("this is not an e-mail address", field="email", hint="for example: alice@acme.example")
    return email


def valid_name(name: str) -> str:
    """`name` without blanks around it, if people can read it. Raises InvalidInput."""
    name = name.strip()
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise InvalidInput("a name has 1 to 200 printable characters", field="name")
    return name

"""What people call things: slugs, addresses, names."""

from __future__ import annotations

import re

from service.core.errors import InvalidInput

_SLUG = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
# No control character, the line ends among them: what is shown in one line.
LINE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+"
_ATOM, _LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]", "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# What browsers accept as an address, plus RFC 5321's lengths: enough to notice mistakes. Only a message proves one.
EMAIL = rf"{_ATOM}(\.?{_ATOM}){{0,63}}@{_LABEL}(\.{_LABEL})*"


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
    if len(email) > 254 or len(email.partition("@")[0]) > 64 or not re.fullmatch(EMAIL, email):
        raise InvalidInput("this is not an e-mail address", field="email", hint="for example: alice@acme.example")
    return email


def valid_name(name: str) -> str:
    """`name` without blanks around it, if people can read it. Raises InvalidInput."""
    name = name.strip()
    if len(name) > 200 or not re.fullmatch(LINE, name):
        raise InvalidInput("a name has 1 to 200 characters, all in one line", field="name")
    return name

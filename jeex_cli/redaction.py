"""What looks like a secret, whoever's it is, and what takes it out of a text."""

from __future__ import annotations

import re
from collections.abc import Callable

HIDDEN = "***"
# Bearer tokens, passwords in URLs, JWTs, Vault's tokens, API keys, passwords in SQL, and whatever is called one.
PATTERNS = (
    re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"""(://[^\s:/@"']*:)[^\s@/"']+(?=@)"""),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    re.compile(r"()\b(?:hvs|hvb|hvr|s|b|r)\.[A-Za-z0-9_-]{20,}"),
    re.compile(r"()\bjx_[0-9a-f]{8,}_[0-9a-f]{8,}_[A-Za-z0-9_-]{16,}"),
    re.compile(r"(?i)(\bpassword\s+')(?:[^']|'')+"),
    re.compile(r"""(?i)((?:password|secret|token|key)(?:\\*["'])?\s*[=:]\s*(?:\\*["'])?)[^\s"',;&\\]{6,}"""),
)
# One of these stands in whatever the patterns find; nearly always there is none, and that is quick to tell.
_SIGNS = ("earer", "://", "eyj", "jx_", "s.", "b.", "r.", "password", "secret", "token", "key")


def redactor(text: str) -> Callable[[str], str]:
    """What hides secrets in `text` and in any part of it: the same text again where it holds none."""
    small = text.lower()
    # As JSON, any character may be written otherwise than it is.
    return redact if any(sign in small for sign in _SIGNS) or "\\u" in text else _unchanged


def redact(text: str) -> str:
    """`text` with every such secret hidden."""
    for pattern in PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def _unchanged(text: str) -> str:
    return text

"""What a secret may be called and what it may hold. Pure; no message of these holds a value."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import timedelta

from jeex_cli.errors import UsageError
from jeex_cli.ops import timespan

ROOT = "jeex"  # below it, in Vault's key-value engine, stands all that jeex looks after
DEFAULT_FIELD = "value"
NEVER = "never"
_PATH_LIMIT = 256  # characters
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_VALUE_LIMIT = 512 * 1024  # bytes; Vault takes about twice that at one path
# What jeex makes and replaces itself, and the kind that `jeex secrets rotate` has for it.
_ROTATED = {"api-pepper": "api-pepper", "database": "database"}
_MADE = ("queue-key",)  # what jeex makes itself, and never replaces
_CLAIMS = "rotation/"  # who rotates: services/rotation.py


@dataclass(frozen=True, slots=True)
class Value:
    """A value on its way to Vault. Its repr does not show it."""

    text: str

    def __repr__(self) -> str:
        return "Value(***)"


def checked(path: str) -> str:
    """`path` as Vault's engine has it, below ROOT. Raises UsageError for what cannot be one."""
    parts = path.split("/")
    if not path or len(path) > _PATH_LIMIT or not path.isprintable():
        why = f"is empty, longer than {_PATH_LIMIT} characters, or holds characters that cannot be seen"
    elif "" in parts:
        why = "begins or ends with a slash, or holds two in a row"
    elif any(part in (".", "..") or part != part.strip() for part in parts):
        why = "has a part that is `.` or `..`, or begins or ends with a space"
    else:
        return f"{ROOT}/{path}"
    raise UsageError(f"{path[:80]!r} cannot be a path: it {why}", code="PATH_INVALID", hint="for example: stripe/live")


def checked_prefix(prefix: str | None) -> str:
    """A folder of secrets as Vault's engine has it: one slash at its end is allowed, None is all of them."""
    return checked(prefix.removesuffix("/")) if prefix is not None else ROOT


def shown(path: str) -> str:
    """A path of the engine as users write it."""
    return path.removeprefix(f"{ROOT}/")


def is_managed(path: str) -> bool:
    """Whether jeex makes and replaces what stands there; `path` as users write it."""
    return path in _ROTATED or path in _MADE or path.startswith(_CLAIMS)


def refuse_managed(path: str) -> None:
    """Raise UsageError for what must not be written by hand."""
    if is_managed(path):
        kind = _ROTATED.get(path) or path.removeprefix(_CLAIMS)
        hint = ["jeex", "secrets", "status"] if path in _MADE else ["jeex", "secrets", "rotate", kind]
        raise UsageError(f"jeex looks after {path} itself", code="SECRET_MANAGED", hint=shlex.join(hint))


def checked_field(field: str) -> str:
    """The name of a field. Raises UsageError, which does not repeat it: it may be a value that somebody wrote there."""
    if not _FIELD.fullmatch(field):
        raise UsageError(
            "a field's name is up to 64 letters, digits, `_`, `.` and `-`, and begins with a letter or `_`",
            code="FIELD_INVALID",
            detail="A value is never an argument: it comes from stdin, or is asked for.",
            hint="jeex secrets set PATH [FIELD] < FILE",
        )
    return field


def decoded(raw: bytes, again: str) -> Value:
    """A value out of what came in on stdin, without the one line end that `echo` adds. `again` is the command, for hints."""
    hint = f'printf %s "$VALUE" | {again}'
    if len(raw) > _VALUE_LIMIT:
        raise UsageError(f"a value has {_VALUE_LIMIT // 1024} KiB at most", code="VALUE_INVALID", hint=hint)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            "the value on stdin is not UTF-8", code="VALUE_INVALID", hint=f"base64 -w0 < FILE | {again}"
        ) from None
    text = text.removesuffix("\n")
    if not text:
        raise UsageError("no value came in on stdin", code="VALUE_INVALID", hint=hint)
    return Value(text)


READ_LIMIT = _VALUE_LIMIT + 1  # bytes to read at most, to know that there are too many


def checked_age(text: str | None) -> str | None:
    """A greatest age such as 90d, NEVER for none, None where nothing was said. Raises UsageError."""
    if text is None or text.strip() == NEVER:
        return text and NEVER
    if not parsed_age(text):
        raise UsageError(
            f"{text!r} is no age that a secret can have",
            code="AGE_INVALID",
            hint="for example --max-age 90d, 12h, never",
        )
    return text.strip()


def parsed_age(text: str | None) -> timedelta | None:
    """An age that `checked_age` took; None for none, and for what somebody else has written there."""
    return timespan.parse(text or "") or None

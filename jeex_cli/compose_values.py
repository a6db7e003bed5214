"""The small grammars inside compose.yaml, as Compose has them: plain scalars, numbers as text, command lines, ports.

Pure functions that raise ValueError with the reason, without the value where it could be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_CONSTANTS: Mapping[str, bool | None] = MappingProxyType(
    {
        **dict.fromkeys(("", "~", "null", "Null", "NULL")),
        **dict.fromkeys(("true", "True", "TRUE"), True),
        **dict.fromkeys(("false", "False", "FALSE"), False),
    }
)
_INT = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_PART = re.compile(
    r"""(?P<blank>[ \t\r\n]+)|(?P<end>[;&|<>])|(?P<shell>[`()])|'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)\"|"""
    r"""(?P<escaped>\\.)|(?P<plain>[^ \t\r\n;&|<>`()'"\\]+)""",
    re.DOTALL,
)
_BACKSLASH = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t"}

_PORT = re.compile(r"\+?[0-9]+")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


def resolved(text: str) -> str | int | float | bool | None:
    """What a scalar without quotes stands for in Go's YAML: `010` is 8, `yes` and `22:22` are text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    plain = text.replace("_", "")
    if (found := _INT.fullmatch(plain)) and plain != "-0":
        sign, *notations = found.groups()
        for digits, base in zip(notations, (16, 2, 8, 10), strict=True):
            if digits and len(digits) <= 64 and -(2**63) <= (number := int(sign + digits, base)) < 2**64:
                return number
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return text if abs(value) == float("inf") else value
    if unusual := _NO_NUMBER.fullmatch(plain):
        return float(unusual[1] + "inf" if unusual[2] else "nan")
    return text


def number_text(number: float) -> str:
    """An int or a float as Go prints it: 1.10 is `1.1`, 1e6 is `1e+06`. Raises ValueError for .inf and .nan."""
    if isinstance(number, int):
        return str(number)
    from decimal import Decimal

    _, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("infinity and not-a-number are no text")
    if -4 <= len(digits) + exponent - 1 < 6:
        return f"{number:.{max(-exponent, 0)}f}"
    return f"{number:.{len(digits) - 1}e}"


def words(line: str) -> tuple[str, ...]:
    """A command that is written as one text, split as Compose does: quotes and backslashes as in a shell, but no shell runs.

    A `|`, `;`, `&`, `<` or `>` outside quotes therefore ends the command, without a word. Raises ValueError for quotes that
    are never closed, and for backquotes and parentheses, which only a shell could make something of.
    """
    found: list[str] = []
    word: str | None = None  # None between words
    position = 0
    while part := _PART.match(line, position):
        position = part.end()
        match part.lastgroup:
            case "blank" | "end":
                ended = part["end"] is not None
                if word is not None and not (part["end"] == ">" and word.isascii() and word.isdigit()):  # not the 2 of `2>x`
                    found.append(word)
                word = None
                if ended:
                    return tuple(found)
            case "shell":
                raise ValueError(f"a {part[0]} outside quotes, which only a shell understands")
            case "single" | "plain":
                word = (word or "") + part[part.lastgroup]
            case _:  # escaped or double
                word = (word or "") + _BACKSLASH.sub(
                    lambda pair: _ESCAPED.get(pair[1], pair[1]), part["escaped"] or part["double"]
                )
    if position < len(line):
        raise ValueError("a quote that is never closed, or a backslash at the end")
    return tuple(found if word is None else [*found, word])


def published(text: str) -> tuple[int, int]:
    """The host and the container port of `[ADDRESS:]PORT:CONTAINER_PORT[/tcp]`. Raises ValueError."""
    ports, _, protocol = text.partition("/")
    address, host, container = (["", "", *ports.rsplit(":", 2)])[-3:]
    if protocol.lower() not in ("", "tcp"):
        raise ValueError(f"{text!r} is not published over TCP, which is all that jeex knows")
    if not host:
        raise ValueError(f"{text!r} leaves the published port to chance; it must be of the form ADDRESS:PORT:CONTAINER_PORT")
    check_address(address)
    return port(host), port(container)


def port(text: str) -> int:
    """A port number. Raises ValueError."""
    if not _PORT.fullmatch(text) or len(text) > 10 or not 0 < int(text) < 65_536:
        raise ValueError(f"{text!r} is no port (1 to 65535)")
    return int(text)


def check_address(address: str) -> None:
    """Raises ValueError for what is no address to publish on; names are not, `localhost` included."""
    if not address or _IPV4.fullmatch(address):
        return
    import ipaddress

    try:
        if "%" not in address and ipaddress.ip_address(address.removeprefix("[").removesuffix("]")):
            return
    except ValueError:
        pass
    raise ValueError(f"{address!r} is no IP address; write 127.0.0.1")

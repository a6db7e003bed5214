"""The error tree in the module's docstring is the one in the code."""

from __future__ import annotations

import re

from jeex_cli import errors


def tree(kind: type[errors.JeexError]) -> dict[str, tuple[str, int]]:
    found = {}
    for child in kind.__subclasses__():
        found[child.__name__] = (kind.__name__, child.exit_code)
        found |= tree(child)
    return found


def test_docstring_draws_every_error_below_its_parent() -> None:
    drawn: dict[str, str] = {}
    parents = ["JeexError"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"((?:\|   |    )*)(?:\|-- |`-- )(\w+)", line)
        if match:
            depth = len(match[1]) // 4 + 1
            parents[depth:] = [match[2]]
            drawn[match[2]] = parents[depth - 1]
    assert drawn == {name: parent for name, (parent, _) in tree(errors.JeexError).items()}


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {name: code for name, (_, code) in tree(errors.JeexError).items()}
    assert codes == {
        "UsageError": 2,
        "NotReady": 3,
        "ConfigError": 3,
        "StateError": 3,
        "DataError": 3,
        "PortInUse": 4,
        "Unhealthy": 5,
        "TimedOut": 6,
        "PartialFailure": 7,
        "Interrupted": 130,
    }

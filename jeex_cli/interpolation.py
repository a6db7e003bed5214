"""Compose's `${...}`: variables in the values of compose.yaml and `.env`.

`$NAME`, `${NAME}`, `${NAME:-default}` (unset or empty), `${NAME-default}` (unset), `${NAME:?why}` and `${NAME?why}`
(required), `${NAME:+other}` and `${NAME+other}` (if set), `$$` for a dollar sign. Defaults may hold variables themselves.
Source: the Compose specification, chapter Interpolation; tests/integration/test_compose_parity.py compares with Compose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")


class InterpolationError(ValueError):
    """The text cannot be interpolated; the message says why, without any variable's value."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One use of a variable: its name, the operator (empty for a plain use) and the raw text behind it."""

    name: str
    operator: str = ""
    operand: str = ""


def interpolate(template: str, variables: Mapping[str, str]) -> str:
    """`template` with its variables replaced; an unset one is empty. Raises InterpolationError."""
    if "$" not in template:
        return template
    return "".join(part if isinstance(part, str) else _value(part, variables) for part in _parts(template))


def references(template: str) -> Iterator[Reference]:
    """Every variable that `template` names, those inside defaults too."""
    for part in _parts(template) if "$" in template else ():
        if isinstance(part, Reference):
            yield part
            yield from references(part.operand)


def _value(reference: Reference, variables: Mapping[str, str]) -> str:
    value = variables.get(reference.name)
    operator = reference.operator
    present = bool(value) if operator.startswith(":") else value is not None
    match operator[-1:]:
        case "-":
            return value or "" if present else interpolate(reference.operand, variables)
        case "+":
            return interpolate(reference.operand, variables) if present else ""
        case "?":
            if not present:
                why = interpolate(reference.operand, variables)
                raise InterpolationError(f"the variable {reference.name} is required{': ' + why if why else ''}")
    return value or ""


def _parts(template: str) -> Iterator[str | Reference]:
    position = 0
    while (dollar := template.find("$", position)) >= 0:
        yield template[position:dollar]
        following = template[dollar + 1 : dollar + 2]
        if following == "$":
            yield "$"
            position = dollar + 2
        elif following == "{":
            end = _closing(template, dollar + 2)
            yield _braced(template[dollar + 2 : end])
            position = end + 1
        elif name := _NAME.match(template, dollar + 1):
            yield Reference(name[0])
            position = name.end()
        else:
            raise InterpolationError("a `$` that begins no variable (write `$$` for a dollar sign)")
    yield template[position:]


def _braced(inside: str) -> Reference:
    name = _NAME.match(inside)
    if name is None:
        raise InterpolationError("`${` must be followed by a variable's name")
    rest = inside[name.end() :]
    if not rest:
        return Reference(name[0])
    for operator in _OPERATORS:
        if rest.startswith(operator):
            return Reference(name[0], operator, rest[len(operator) :])
    raise InterpolationError(f"`${{{name[0]}` is followed by something that is no operator (one of {' '.join(_OPERATORS)})")


def _closing(template: str, start: int) -> int:
    depth, position = 1, start
    while position < len(template):
        if template.startswith("${", position):
            depth, position = depth + 1, position + 2
            continue
        if template[position] == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    raise InterpolationError("a `${` without its `}`")

"""Compose's `${...}`: variables in the values of compose.yaml and `.env`.

`$NAME`, `${NAME}`, `${NAME:-default}` (unset or empty), `${NAME-default}` (unset), `${NAME:?why}` and `${NAME?why}`
(required), `${NAME:+other}` and `${NAME+other}` (if set), `$$` for a dollar sign. A `$` that begins none of these is
itself. The text behind an operator may hold variables too; it is looked at only when it is used.

Source: the Compose specification, chapter Interpolation, and, where that is silent, what Docker Compose 5 answers:
tests/integration/test_grammar_parity.py asks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-+?]")
_MOST_NESTED = 64  # `${A:-${A:-...}}`: far more than anyone writes, and far from Python's own limit


class InterpolationError(ValueError):
    """The text cannot be interpolated; `reason` says why, without any variable's value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequiredVariable(InterpolationError):
    """`${NAME:?why}` without a value: the text is right, the variable `name` is missing."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"the variable {name} is required{': ' + why if why else ''}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Reference:
    """One use of a variable: its name, the operator (empty for a plain use) and the raw text behind it."""

    name: str
    operator: str = ""
    operand: str = ""


def interpolate(template: str, variables: Mapping[str, str]) -> str:
    """`template` with its variables replaced; an unset one is empty. Raises InterpolationError."""
    return _interpolate(template, variables, 0)


def references(template: str) -> Iterator[Reference]:
    """Every variable that `template` names, outermost first, those inside operands too. Raises InterpolationError."""
    return _references(template, 0)


def _interpolate(template: str, variables: Mapping[str, str], depth: int) -> str:
    if "$" not in template:
        return template
    found: list[str] = []
    for part in _parts(template, depth):
        found.append(part if isinstance(part, str) else _value(part, variables, depth))
    return "".join(found)


def _references(template: str, depth: int) -> Iterator[Reference]:
    for part in _parts(template, depth) if "$" in template else ():
        if isinstance(part, Reference):
            yield part
            yield from _references(part.operand, depth + 1)


def _value(reference: Reference, variables: Mapping[str, str], depth: int) -> str:
    value = variables.get(reference.name)
    usable = bool(value) if reference.operator.startswith(":") else value is not None
    match reference.operator[-1:]:
        case "-" if not usable:
            return _interpolate(reference.operand, variables, depth + 1)
        case "+" if usable:
            return _interpolate(reference.operand, variables, depth + 1)
        case "?" if not usable:
            # Compose shows this text with its variables replaced; here their values could be secrets.
            raise RequiredVariable(reference.name, reference.operand)
    return value or ""


def _parts(template: str, depth: int) -> Iterator[str | Reference]:
    if depth > _MOST_NESTED:
        raise InterpolationError(f"variables nested more than {_MOST_NESTED} deep")
    position = 0
    while (dollar := template.find("$", position)) >= 0:
        yield template[position:dollar]
        following = template[dollar + 1 : dollar + 2]
        if following == "{":
            reference, position = _braced(template, dollar + 1)
            yield reference
        elif name := _NAME.match(template, dollar + 1):
            yield Reference(name[0])
            position = name.end()
        else:
            yield "$"
            position = dollar + (2 if following == "$" else 1)
    yield template[position:]


def _braced(template: str, brace: int) -> tuple[Reference, int]:
    """The reference whose `{` is at `brace`, and where it ends."""
    name = _NAME.match(template, brace + 1)
    if name is None:
        raise InterpolationError("`${` must be followed by a variable's name (write `$$` for a dollar sign)")
    if template.startswith("}", name.end()):
        return Reference(name[0]), name.end() + 1
    operator = _OPERATOR.match(template, name.end())
    if operator is None:
        problem = "is never closed" if name.end() == len(template) else "goes on with something that is no operator"
        raise InterpolationError(f"`${{{name[0]}` {problem} (}} or one of :- - :? ? :+ +)")
    end = _closing(template, brace, operator.end())
    if end < 0:
        raise InterpolationError(f"`${{{name[0]}{operator[0]}` is not closed with }} on the same line")
    return Reference(name[0], operator[0], template[operator.end() : end]), end + 1


def _closing(template: str, brace: int, start: int) -> int:
    """Where the operand that begins at `start` ends, -1 if nowhere. All of this is how Compose counts:

    the `}` must be on the same line; every `{` opens, with or without `$`, but the character right behind it neither
    opens nor closes (so `${A:-{}}` is `{}` by way of the next rule); if too few close, the last `}` of the line does.
    """
    line_end = template.find("\n", start)
    last = template.rfind("}", start, line_end if line_end >= 0 else len(template))
    depth, position = 0, brace
    while position <= last:
        if template[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        elif template[position] == "{":
            depth += 1
            position += 1
        position += 1
    return last

"""The error tree is the one that its docstring draws, and each has a status."""

from __future__ import annotations

import re

from service.api import problems
from service.core import errors


def test_the_docstring_draws_the_tree() -> None:
    kinds = {
        one.__name__: one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.ServiceError)
    }
    path: list[str] = []
    drawn: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([ |`-]*)([A-Z]\w+)(?:  |$)", line)
        if found:
            depth = len(found[1]) // 4
            path = [*path[:depth], found[2]]
            drawn[found[2]] = path[-2] if depth else "Exception"
    assert drawn == {name: kind.__mro__[1].__name__ for name, kind in kinds.items()}
    codes = [kind.code for kind in kinds.values()]
    assert len(set(codes)) == len(codes)


def test_what_a_client_can_cause_is_not_a_500() -> None:
    never_at_a_client = {
        *("ServiceError", "SettingsError", "FileRefused", "MigrationFailed", "TenantNotBound", "JobCancelled"),
    }
    mapped = tuple(kind for kind, _ in problems._STATUS)
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.ServiceError) and kind.__name__ not in never_at_a_client:
            assert issubclass(kind, mapped), kind

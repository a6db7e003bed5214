"""The revisions that this installation has, read from their files without importing Alembic (it takes a quarter second)."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

VERSIONS = Path(__file__).parent / "versions"
_DATE = re.compile(r"^Create Date: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration. `date` is that of its file, ISO 8601, UTC; `parent` is None for the first."""

    id: str
    message: str
    date: str
    parent: str | None


def history() -> tuple[Revision, ...]:
    """Every revision, oldest first. Raises ValueError when they are not one line of descent."""
    children: dict[str | None, Revision] = {}
    for path in sorted(VERSIONS.glob("[0-9]*.py")):
        revision = _read(path)
        if revision.parent in children:
            raise ValueError(f"{revision.id} and {children[revision.parent].id} both follow {revision.parent}")
        children[revision.parent] = revision
    line: list[Revision] = []
    while (following := children.get(line[-1].id if line else None)) is not None:
        line.append(following)
    if len(line) != len(children):
        lost = sorted(one.id for one in children.values() if one not in line)
        raise ValueError(f"no revision leads to {', '.join(lost)}")
    return tuple(line)


def head() -> str:
    """The newest revision: what the code of this installation expects of a database."""
    return history()[-1].id


def _read(path: Path) -> Revision:
    tree = ast.parse(path.read_text(encoding="utf-8"), path.name)
    assigned = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("revision", "down_revision")
    }
    text = ast.get_docstring(tree) or ""
    date = _DATE.search(text)
    return Revision(assigned["revision"], text.split("\n", 1)[0], date[1] if date else "", assigned["down_revision"])

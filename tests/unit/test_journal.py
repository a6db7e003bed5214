"""jeex' own log."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from jeex_cli import cli, journal
from jeex_cli.errors import JeexError
from jeex_cli.journal import FILE, Journal


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that jeex has been in."""
    for name in ("JEEX_PROJECT_DIR", "JEEX_JSON", "JEEX_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "p" / ".jeex").mkdir(parents=True)
    (tmp_path / "p" / ".jeex" / "state.json").write_text('{"version": 1, "runtime": "embedded", "variables": {}}')
    return tmp_path / "p"


def written(project: Path) -> list[dict[str, object]]:
    file = project / ".jeex" / "logs" / FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_each_command_leaves_a_line(project: Path) -> None:
    assert cli.run(["--project", str(project), "volume", "list"]) == 0
    assert cli.run(["trace", "--project", str(project), "ffffffff"]) == 1
    first, second = written(project)
    assert (first["event"], first["exit"], first["level"]) == ("jeex volume list", 0, "info")
    assert (second["event"], second["exit"], second["code"]) == ("jeex trace", 1, "TRACE_UNKNOWN")
    assert second["flags"] == {"id": "***"}
    assert len({str(one["trace_id"]) for one in (first, second)}) == 2
    assert all(float(str(one["ms"])) > 0 for one in (first, second))
    assert stat.S_IMODE((project / ".jeex" / "logs" / FILE).stat().st_mode) == 0o600


def test_values_of_flags_are_not_told_but_for_harmless_ones(project: Path) -> None:
    secret = "hunter2secret"
    cli.run(["--project", str(project), "logs", "--search", secret, "--tenant", secret, "--since", "10m", "-n", "5"])
    cli.run(["--project", str(project), "secrets", "get", secret])
    cli.run(["--project", str(project), f"--{secret}"])
    flags = written(project)[0]["flags"]
    assert flags == {"search": "***", "tenant": "***", "since": "10m", "tail": 5}
    assert secret not in (project / ".jeex" / "logs" / FILE).read_text()


def test_secrets_in_reasons_are_hidden(project: Path) -> None:
    one = Journal()
    one.runs("jeex x", {}, project / ".jeex" / "logs")
    one.ended(1, JeexError("no postgresql://jeex:hunter2secret@db\nforged \x1b[2K\u2028"))
    line = (project / ".jeex" / "logs" / FILE).read_text()
    assert "hunter2secret" not in line
    assert line.isascii()
    assert line.count("\n") == 1
    assert "\x1b" not in line


def test_it_is_bounded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_LIMIT", 2000)
    one = Journal()
    one.runs("jeex x", {}, project / ".jeex" / "logs")
    for _ in range(100):
        one.ended(0)
    logs = project / ".jeex" / "logs"
    assert sorted(path.name for path in logs.iterdir()) == [FILE, f"{FILE}.1"]
    assert all(path.stat().st_size < 2500 for path in logs.iterdir())


def test_where_it_cannot_be_written_the_command_is_as_it_was(project: Path) -> None:
    (project / ".jeex" / "logs").write_text("not a folder")
    assert cli.run(["--project", str(project), "volume", "list"]) == 0


def test_a_folder_that_jeex_has_never_been_in_stays_as_it_was(tmp_path: Path, project: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli.run(["--project", str(empty), "volume", "list"]) == 0
    assert list(empty.iterdir()) == []

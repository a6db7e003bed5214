"""Faults in the project's own files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.doctor.conftest import Patient

pytestmark = pytest.mark.e2e


def test_a_line_that_is_no_assignment(stopped: Patient) -> None:
    env = stopped.cli.folder / ".env"
    before = env.read_bytes()
    env.write_bytes(before + b"this is no assignment\n")
    # What depends on the file cannot be looked at, and says so.
    found = stopped.doctor()
    assert found["env-syntax"]["level"] == "fail"
    assert ".env:" in found["env-syntax"]["summary"]
    assert found["env-complete"]["level"] == found["env-weak"]["level"] == "unknown"
    env.write_bytes(before)
    stopped.is_well()


def test_a_secret_that_is_gone_is_made_anew_where_no_data_was_made_with_it(stopped: Patient) -> None:
    env = stopped.cli.folder / ".env"
    text = env.read_text()
    env.write_text("".join(line for line in text.splitlines(True) if not line.startswith("JEEX_REDIS_PASSWORD=")))
    assert stopped.finds("env-complete", "fail", "JEEX_REDIS_PASSWORD")["repair"]
    stopped.fixes("env-complete")
    kept = [line for line in text.splitlines() if line and not line.startswith("JEEX_REDIS_PASSWORD=")]
    assert [line for line in env.read_text().splitlines() if line in kept] == kept
    env.write_text(text)


def test_a_secret_that_data_was_made_with_is_not_made_anew(stopped: Patient) -> None:
    env = stopped.cli.folder / ".env"
    text = env.read_text()
    env.write_text("".join(line for line in text.splitlines(True) if not line.startswith("JEEX_POSTGRES_PASSWORD=")))
    assert stopped.finds("env-complete", "fail", "JEEX_POSTGRES_PASSWORD")["repair"] == ""
    env.write_text(text)
    stopped.is_well()


@pytest.mark.parametrize(
    ("value", "why"), [("postgres", "everybody"), ("abababababababababab", "2 different"), ("Xk3vQz81Lp", "10")]
)
def test_a_weak_secret(stopped: Patient, value: str, why: str) -> None:
    env = stopped.cli.folder / ".env"
    text = env.read_text()
    lines = [f"JEEX_REDIS_PASSWORD={value}\n" if one.startswith("JEEX_REDIS_") else one for one in text.splitlines(True)]
    env.write_text("".join(lines))
    one = stopped.finds("env-weak", "warn", "JEEX_REDIS_PASSWORD", why)
    assert value not in f"{one}".replace("JEEX_POSTGRES", "")
    stopped.fixes("env-weak")
    assert f"JEEX_REDIS_PASSWORD={value}\n" not in env.read_text()
    env.write_text(text)


def test_a_misspelt_variable(stopped: Patient) -> None:
    env = stopped.cli.folder / ".env"
    text = env.read_text()
    env.write_text(text + "JEEX_LOG_LEVLE=debug\nJEX_API_PROT=1\nMY_OWN=1\n")
    one = stopped.finds(
        "env-unknown", "warn", "JEEX_LOG_LEVLE", "did you mean JEEX_LOG_LEVEL?", "did you mean JEEX_API_PORT?"
    )
    assert "MY_OWN" not in str(one)
    stopped.fixes("env-unknown")
    assert env.read_text() == text + "JEEX_LOG_LEVEL=debug\nJEEX_API_PORT=1\nMY_OWN=1\n"
    env.write_text(text)


def test_a_misspelt_variable_of_the_environment(stopped: Patient) -> None:
    stopped.cli.extra["JEEX_TIMEOUTS"] = "5"
    assert stopped.finds("env-unknown", "warn", "JEEX_TIMEOUTS in the environment", "JEEX_TIMEOUT?")["repair"] == ""
    del stopped.cli.extra["JEEX_TIMEOUTS"]
    stopped.is_well()


def test_secrets_that_others_can_read(stopped: Patient) -> None:
    env = stopped.cli.folder / ".env"
    env.chmod(0o644)
    stopped.finds("env-mode", "fail", "0644", "chmod 0600")
    stopped.fixes("env-mode")
    assert env.stat().st_mode & 0o777 == 0o600


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "safe.directory=*", *arguments], check=True, capture_output=True)


def test_secrets_that_git_would_commit_or_has(stopped: Patient) -> None:
    folder = stopped.cli.folder
    git(folder, "init", "-q")
    stopped.finds("env-git", "warn", ".gitignore")
    stopped.fixes("env-git")
    assert (folder / ".gitignore").read_text() == ".env\n"
    git(folder, "add", "--force", ".env")
    stopped.finds("env-git", "fail", "git rm --cached .env")
    shutil.rmtree(folder / ".git")
    (folder / ".gitignore").unlink()
    stopped.is_well()


def test_a_compose_file_that_describes_no_stack(stopped: Patient) -> None:
    path = stopped.cli.folder / "compose.yaml"
    path.write_text("services: {api: {x-jeex: {title: A}, ports: ['127.0.0.1:99999:80']}}")
    found = stopped.doctor()
    assert found["compose-file"]["level"] == "fail"
    assert "compose.yaml:1" in found["compose-file"]["summary"]
    assert "port" in found["compose-file"]["summary"]
    path.unlink()
    stopped.is_well()


def test_a_memory_that_jeex_did_not_write(stopped: Patient) -> None:
    path = stopped.cli.folder / ".jeex" / "state.json"
    before = path.read_bytes()
    path.write_text("{ not json")
    found = stopped.doctor()
    assert found["state-file"]["level"] == "fail"
    assert "state.json" in found["state-file"]["summary"]
    stopped.doctor("--only", "state-file", "--fix", "--yes")
    assert not path.exists()
    path.write_bytes(before)
    stopped.is_well()


def test_a_setting_that_cannot_be_used(stopped: Patient) -> None:
    stopped.cli.extra["JEEX_TIMEOUT"] = "soon"
    found = stopped.doctor()
    assert found["settings"]["level"] == "fail"
    assert "JEEX_TIMEOUT is 'soon' (environment)" in found["settings"]["summary"]
    del stopped.cli.extra["JEEX_TIMEOUT"]
    stopped.is_well()


def test_a_switch_that_was_broken_off(stopped: Patient) -> None:
    left = stopped.cli.folder / ".jeex" / "switch"
    left.mkdir()
    (left / "manifest.json").write_text('{"version": 1, "source": "embedded", "target": "embedded", "stage": "reading"}')
    stopped.finds("switch-unfinished", "fail", "broken off")
    stopped.fixes("switch-unfinished")
    assert not left.exists()


def test_a_project_that_was_copied_with_its_env(stopped: Patient) -> None:
    copy = stopped.cli.folder.with_name("copy")
    copy.mkdir()
    shutil.copy(stopped.cli.folder / ".env", copy)
    original, stopped.cli.folder = stopped.cli.folder, copy
    ports, stopped.cli.ports = stopped.cli.ports, {name: port + 1 for name, port in stopped.cli.ports.items()}
    stopped.cli.run("up", "redis")
    stopped.cli.run("down")
    stopped.cli.folder, stopped.cli.ports = original, ports
    stopped.finds("project-copied", "fail", str(copy), "another JEEX_PROJECT")
    # As the finding says, in the copy.
    env = copy / ".env"
    text = env.read_text().replace("JEEX_PROJECT=", "JEEX_PROJECT=other-")
    env.write_text("".join("JEEX_INSTANCE=\n" if one.startswith("JEEX_INSTANCE=") else one for one in text.splitlines(True)))
    stopped.cli.folder, stopped.cli.ports = copy, {name: port + 1 for name, port in ports.items()}
    stopped.cli.run("up", "redis")
    stopped.cli.run("down", "--delete-data", "--yes")
    stopped.cli.folder, stopped.cli.ports = original, ports
    shutil.rmtree(copy)
    stopped.is_well()


def test_an_empty_folder_is_no_fault(project: Patient) -> None:
    assert project.well["env-complete"] == "ok"
    assert list(project.cli.folder.iterdir()) == []

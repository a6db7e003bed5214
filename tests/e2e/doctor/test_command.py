"""`jeex doctor` as a person and a program use it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import time
import zipfile
from pathlib import Path

import pytest

from jeex_cli import dotenv
from jeex_cli.checks import CHECKS
from jeex_cli.settings import SECRETS
from tests.e2e.doctor.conftest import Patient

pytestmark = pytest.mark.e2e


def test_a_healthy_stack_has_no_finding_and_exit_code_0(healthy: Patient) -> None:
    out = healthy.cli.run("doctor").stdout
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(rf"^{len(CHECKS)} checks in \d\.\d\d s: \d+ fine", out, re.MULTILINE)
    assert "try:" not in out
    everything = healthy.cli.run("doctor", "--all").stdout
    assert all(one.id in everything for one in CHECKS)
    assert healthy.cli.run("doctor", "--quiet").stdout == ""


def test_it_takes_less_than_three_seconds(healthy: Patient) -> None:
    # A bound that users were promised, with room for a busy machine; the ratio to `status` is in tests/bench.
    seconds = min(healthy.cli.json("doctor")["seconds"] for _ in range(3))
    assert seconds < 3


def test_a_failure_is_3_with_every_finding_and_a_warning_is_0(healthy: Patient) -> None:
    env = healthy.cli.folder / ".env"
    env.chmod(0o640)
    document = json.loads(healthy.cli.run("doctor", "--json", code=3).stdout)
    assert document["ok"] is False
    assert (document["error"]["code"], document["error"]["hint"]) == ("DOCTOR", "jeex doctor --fix")
    assert "other users" in document["error"]["message"]
    assert document["data"]["summary"]["fail"] == 1
    assert len(document["data"]["findings"]) == len(CHECKS)
    ran = healthy.cli.run("doctor", code=3)
    assert "✗ env-mode" in ran.stdout
    assert "try: chmod 0600" in ran.stdout
    assert ran.stderr.splitlines()[-1] == "try: jeex doctor --fix"
    env.chmod(0o600)
    healthy.cli.extra["JEEX_NO_SUCH_THING"] = "1"
    assert healthy.cli.json("doctor")["summary"]["warn"] == 1
    del healthy.cli.extra["JEEX_NO_SUCH_THING"]


def test_only_takes_checks_and_groups(healthy: Patient) -> None:
    found = healthy.doctor("--only", "env-mode,ports", "--only", "settings")
    assert {"env-mode", "settings", "port-taken", "port-block"} <= set(found)
    assert {one["group"] for one in found.values()} == {"configuration", "ports"}
    assert len([one for one in found.values() if one["group"] == "configuration"]) == 2
    error = healthy.cli.json("doctor", "--only", "env-mod", code=2)
    assert (error["code"], error["hint"]) == ("UNKNOWN_CHECK", "jeex doctor --list")
    assert "did you mean 'env-mode'?" in error["message"]


def test_list_and_explain(healthy: Patient) -> None:
    listed = healthy.cli.json("doctor", "--list")
    assert [one["id"] for one in listed] == [one.id for one in CHECKS]
    assert "port-taken" in healthy.cli.run("doctor", "--list").stdout
    for check in CHECKS:
        if check.id in ("env-mode", "port-privileged"):
            text = healthy.cli.run("doctor", "--explain", check.id).stdout
            assert text.startswith(f"{check.id}: {check.title}\n\n")
            assert max(map(len, text.splitlines())) <= 80
            assert ("`jeex up` asks it" in text) is check.before_up
    assert healthy.cli.json("doctor", "--explain", "nonsense", code=2)["code"] == "UNKNOWN_CHECK"


def test_fix_shows_its_plan_and_asks(healthy: Patient) -> None:
    env = healthy.cli.folder / ".env"
    env.chmod(0o644)
    ran = healthy.cli.run("doctor", "--fix", "--dry-run", code=3)
    assert "1. chmod 0600" in ran.stderr
    assert "(env-mode)" in ran.stderr
    assert healthy.cli.json("doctor", "--fix", code=2)["code"] == "USAGE"  # nobody to ask
    healthy.cli.run("doctor", "--fix", text="n\n", code=3)
    assert env.stat().st_mode & 0o777 == 0o644
    healthy.cli.run("doctor", "--fix", text="y\n")
    assert env.stat().st_mode & 0o777 == 0o600
    env.chmod(0o644)
    data = healthy.cli.json("doctor", "--fix", "--yes")
    assert data["repaired"] == [{"repair": f"chmod 0600 '{env}'", "checks": ["env-mode"]}]
    assert data["summary"]["fail"] == 0
    assert healthy.cli.json("doctor", "--dry-run", code=2)["hint"] == "jeex doctor --fix --dry-run"
    assert "There is nothing" in healthy.cli.run("doctor", "--fix", "--dry-run").stderr


def test_a_terminal_has_colours_and_an_interrupt_changes_nothing(healthy: Patient) -> None:
    env = healthy.cli.folder / ".env"
    env.chmod(0o644)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(healthy.cli.folder)
        os.execve(healthy.cli.program[0], [*healthy.cli.program, "doctor", "--fix"], {**healthy.cli.env, "TERM": "xterm"})  # noqa: S606
    said = b""
    deadline = time.monotonic() + 20
    while b"[y/N]" not in said and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b"[y/N]" in said, said
    assert os.waitstatus_to_exitcode(status) == 130
    assert env.stat().st_mode & 0o777 == 0o644
    env.chmod(0o600)


def test_the_bundle_holds_what_is_needed_and_no_secret(healthy: Patient, tmp_path: Path) -> None:
    key = healthy.cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    log = healthy.cli.folder / ".jeex" / "logs" / "api.log"
    secrets = {
        name: text
        for name, text in dotenv.parse((healthy.cli.folder / ".env").read_text(), source=".env", environ={}).items()
        if name in SECRETS
    }
    with log.open("a") as file:
        file.write(f"Authorization: Bearer {key}\npostgresql://jeex_app:{secrets['JEEX_DB_APP_PASSWORD']}@127.0.0.1/jeex\n")
        file.write(f"somebody used {key} just so\n")
        file.write("mail to alice@acme.example, password=hunter2hunter2, token: hvs.CAESIJ0123456789abcdefghij\n")
    file_ = tmp_path / "report.zip"
    healthy.cli.run("doctor", "--bundle", str(file_))
    assert file_.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file_) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"doctor.json", "machine.json", "settings.json", "logs/api.log", "logs/postgres.log"} <= set(parts)
    assert len(json.loads(parts["doctor.json"])) == len(CHECKS)
    assert json.loads(parts["machine.json"])["jeex"]
    everything = "\n".join(parts.values())
    for secret in (*secrets.values(), key, "alice@acme.example", "hunter2hunter2", "hvs.CAESIJ0123456789abcdefghij"):
        assert secret not in everything
    assert str(healthy.cli.home) not in everything
    assert healthy.cli.json("doctor", "--bundle", str(file_), code=3)["code"] == "FILE_EXISTS"
    assert healthy.cli.json("doctor", "--bundle", str(tmp_path / "no" / "r.zip"), code=3)["code"] == "NOT_WRITABLE"
    assert sorted(one.name for one in tmp_path.iterdir() if one.suffix == ".zip" or one.name.startswith(".jeex-")) == [
        "report.zip"
    ]

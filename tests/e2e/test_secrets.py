"""Secrets on the command line: written, read, deleted, brought back; and never shown unasked."""

from __future__ import annotations

import os
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.test_tenant_keys import answered

pytestmark = pytest.mark.e2e


@pytest.fixture
def cli(either: Cli) -> Cli:
    """With Docker and without."""
    return either


# Values that may appear nowhere but where they are asked for.
FIRST, SECOND, THIRD, TYPED, CLIENT = (f"never-shown-{number}-4242" for number in range(5))
MARK = "never-shown"
MASK = "********"


def secrets(cli: Cli, *arguments: str, code: int = 0, text: str | None = None) -> Any:
    """The answer of `jeex secrets ... --json`, which must not show a value."""
    found = cli.json("secrets", *arguments, code=code, text=text)
    assert MARK not in str(found)
    return found


def shown(cli: Cli, *arguments: str) -> str:
    """What people see of a command: within 80 columns, without values."""
    ran = cli.run("secrets", *arguments)
    assert MARK not in ran.stdout + ran.stderr
    assert max(len(line) for line in ran.stdout.splitlines()) <= 80
    return ran.stdout


def assert_nothing_lies_about(cli: Cli) -> None:
    """No value is where whoever reads logs would see it."""
    for folder in ("logs", "run"):
        for file in (cli.folder / ".jeex" / folder).rglob("*"):
            assert not file.is_file() or MARK not in file.read_text(errors="replace"), file


def typed(cli: Cli, answers: Sequence[str], *arguments: str) -> tuple[int, str]:
    """`jeex` with a terminal on stdin where somebody types `answers`, each once what is typed is hidden; code and output."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*cli.program, *arguments],
        cwd=cli.folder,
        env=cli.env,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # without a terminal of its own: what asks must use this one
    )
    assert process.stdout is not None
    said = b""
    try:
        for answer in answers:
            while not said.rstrip().endswith(b":"):
                said += os.read(process.stdout.fileno(), 4096)
            while termios.tcgetattr(theirs)[3] & termios.ECHO:
                time.sleep(0.01)
            said += b" typed\n"
            os.write(ours, f"{answer}\n".encode())
        said += process.stdout.read()
        return process.wait(30), said.decode()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(ours)
        os.close(theirs)


def test_secrets_from_the_first_to_the_last(cli: Cli) -> None:
    away = secrets(cli, "list", code=5)
    assert (away["code"], away["hint"]) == ("VAULT_UNREACHABLE", "jeex up; jeex status")
    assert list(cli.folder.iterdir()) == []
    cli.run("up")
    found = {one["path"]: one["managed"] for one in secrets(cli, "list")}
    found.pop("queue-key", None)  # the worker makes it, by and by
    assert found == {"api-pepper": True, "database": True}

    writing(cli)
    reading(cli)
    deleting(cli)
    settings(cli)

    assert_nothing_lies_about(cli)
    cli.run("down")
    assert secrets(cli, "status", code=5)["code"] == "VAULT_UNREACHABLE"
    cli.run("up")
    assert cli.run("secrets", "get", "stripe", "--reveal").stdout == f"{SECOND}\n"


def writing(cli: Cli) -> None:
    made = secrets(cli, "set", "mail/smtp", text=f"{FIRST}\n")
    assert (made["path"], made["version"], made["changed"], made["max_age"]) == ("mail/smtp", 1, True, None)
    assert secrets(cli, "set", "mail/smtp", "user", "--max-age", "90d", text="alice")["version"] == 2
    assert secrets(cli, "set", "mail/smtp", "user", text="bob")["max_age"] == "90d"
    assert secrets(cli, "set", "mail/smtp", "user", text="bob")["changed"] is False
    said = cli.run("secrets", "set", "stripe", text=SECOND)
    assert "Written: stripe, version 1" in said.stdout
    assert MARK not in said.stdout + said.stderr

    # Typed twice, and never seen.
    code, said_there = typed(cli, [TYPED, "something else", TYPED, TYPED], "secrets", "set", "typed")
    assert code == 0, said_there
    assert "do not match" in said_there
    assert MARK not in said_there
    assert cli.run("secrets", "get", "typed", "--reveal").stdout == f"{TYPED}\n"


def reading(cli: Cli) -> None:
    found = secrets(cli, "get", "mail/smtp")
    assert found["fields"] == {"user": MASK, "value": MASK}
    assert (found["version"], found["newest"], found["revealed"]) == (3, 3, False)
    assert MASK in shown(cli, "get", "mail/smtp")
    assert "max age 90d" in shown(cli, "list")
    assert [one["path"] for one in secrets(cli, "list", "mail/")] == ["mail/smtp"]
    assert "mail/smtp  3 " in shown(cli, "list", "mail")
    assert secrets(cli, "list", "nothing") == []

    # What was asked for by name is all that stdout has; --version is of what was.
    for arguments in (["stripe"], ["stripe", "value"], ["stripe", "--quiet"]):
        ran = cli.run("secrets", "get", *arguments, "--reveal")
        assert (ran.stdout, ran.stderr) == (f"{SECOND}\n", "")
    assert cli.run("secrets", "get", "mail/smtp", "user", "--reveal", "--version", "2").stdout == "alice\n"
    assert cli.json("secrets", "get", "mail/smtp", "--reveal")["fields"] == {"user": "bob", "value": FIRST}
    assert cli.run("secrets", "get", "mail/smtp", "--reveal", "--quiet").stdout.count("\n") == 3


def deleting(cli: Cli) -> None:
    secrets(cli, "set", "stripe", "--if-version", "1", text=THIRD)
    refused = secrets(cli, "delete", "stripe", code=2)
    assert (refused["code"], refused["hint"]) == ("NEEDS_YES", "jeex secrets delete stripe --yes")
    declined = answered(cli, "n", "secrets", "delete", "stripe")
    assert declined.returncode == 1
    assert "secret/jeex/stripe, version 2" in declined.stderr
    gone = secrets(cli, *refused["hint"].split()[2:])
    assert (gone["version"], gone["changed"]) == (2, True)
    assert secrets(cli, "delete", "stripe", "--yes")["changed"] is False

    # The version before is not the newest, but can be read; the newest comes back.
    missing = secrets(cli, "get", "stripe", code=1)
    assert (missing["code"], missing["hint"]) == ("SECRET_DELETED", "jeex secrets restore stripe --version 2")
    assert "deleted" in shown(cli, "list", "stripe")
    assert cli.run("secrets", "get", "stripe", "--version", "1", "--reveal").stdout == f"{SECOND}\n"
    assert secrets(cli, *missing["hint"].split()[2:])["changed"] is True
    assert secrets(cli, "restore", "stripe")["changed"] is False
    assert cli.run("secrets", "get", "stripe", "--reveal").stdout == f"{THIRD}\n"
    assert answered(cli, "y", "secrets", "delete", "stripe").returncode == 0
    assert secrets(cli, "set", "stripe", text=SECOND)["version"] == 3


def settings(cli: Cli) -> None:
    """Of the service's processes: where they come from, and that nobody can write one that no process could read."""
    assert cli.json("config", "show")["vault"] == []
    assert secrets(cli, "set", "settings", "BODY_LIMIT", code=2, text="much")["code"] == "SETTING_INVALID"
    assert secrets(cli, "set", "settings", "BODY_LIMITS", code=2, text="1")["code"] == "SETTING_UNKNOWN"
    secrets(cli, "set", "settings", "BODY_LIMIT", text="100000")
    secrets(cli, "set", "settings", "LOG_LEVEL", text="error")
    secrets(cli, "set", "settings", "DATABASE_OWNER_URL", text=f"postgresql://x:{FIRST}@127.0.0.1/x")
    found = {one["name"]: (one["value"], one["source"]) for one in cli.json("config", "show")["vault"]}
    assert found == {
        "BODY_LIMIT": ("100000", "Vault (jeex secrets set settings BODY_LIMIT)"),
        "DATABASE_OWNER_URL": (MASK, "Vault (jeex secrets set settings DATABASE_OWNER_URL)"),
        "LOG_LEVEL": ("error", "Vault, but the API's environment says otherwise"),
    }
    said = cli.run("config", "show")
    assert "BODY_LIMIT  " in said.stdout
    assert said.stderr == ""
    assert FIRST not in said.stdout
    assert FIRST in cli.run("config", "show", "--reveal", "DATABASE_OWNER_URL").stdout


def test_settings_are_shown_without_vault(cli: Cli) -> None:
    ran = cli.run("config", "show")
    assert "JEEX_API_PORT" in ran.stdout
    assert ran.stderr == "  settings in Vault are not shown: Vault does not run\n"
    assert cli.json("config", "show")["vault"] is None
    assert list(cli.folder.iterdir()) == []


def test_the_nested_groups_are_like_any_other(cli: Cli) -> None:
    listing = cli.run("secrets", "--help").stdout
    for name in ("list", "get", "set", "delete", "restore", "seed", "rotate", "status", "unseal", "oauth", "policy"):
        assert f"  {name} " in listing
    for group in (["oauth"], ["policy"]):
        assert "Usage: jeex secrets" in cli.run("secrets", *group, code=2).stderr
    for arguments in ([], ["get"], ["set"], ["rotate"], ["oauth"], ["oauth", "set"], ["policy"], ["policy", "show"]):
        text = cli.run("secrets", *arguments, "--help").stdout
        assert max(len(line) for line in text.splitlines()) <= 80
    assert cli.json("secrets", "get", code=2)["hint"] == "jeex secrets get --help"
    assert list(cli.folder.iterdir()) == []

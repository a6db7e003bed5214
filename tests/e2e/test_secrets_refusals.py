"""Secrets on the command line, used wrongly or by two at a time, and OAuth providers' secrets.

Without Docker alone: Vault's address is all that another runtime changes of these. They share a stack.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.e2e.test_secrets import CLIENT, FIRST, SECOND, assert_nothing_lies_about, secrets, shown

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A stack with one secret, in which no value may lie about after all of this."""
    one = make_cli(tmp_path_factory.mktemp("secrets"))
    try:
        one.run("up")
        one.run("secrets", "set", "stripe", text=SECOND)
        yield one
        assert_nothing_lies_about(one)
        one.run("down")
        one.assert_nothing_left()
    finally:
        kill_leftovers(one)


def test_of_two_who_have_seen_the_same_version_one_writes(cli: Cli) -> None:

    def write(text: str) -> tuple[int, str]:
        process = cli.start("secrets", "set", "race", "--if-version", "1", stdin=subprocess.PIPE)
        _, err = process.communicate(text, timeout=60)
        return process.returncode, err

    secrets(cli, "set", "race", "--if-version", "0", text="first")
    with ThreadPoolExecutor(2) as both:
        ended = sorted(both.map(write, ("one", "other")))
    assert [code for code, _ in ended] == [0, 1]
    assert "[SECRET_CHANGED]" in ended[1][1]
    assert "try: jeex secrets get race" in ended[1][1]
    assert secrets(cli, "get", "race")["newest"] == 2
    assert secrets(cli, "set", "race", "--if-version", "0", text="again", code=1)["code"] == "SECRET_CHANGED"


def test_wrong_use_is_refused_and_changes_nothing(cli: Cli) -> None:
    def error(code: int, *arguments: str, text: str | None = None) -> str:
        found: dict[str, str] = secrets(cli, *arguments, code=code, text=text)
        assert found["hint"], found
        return found["code"]

    before = secrets(cli, "list")
    for path in ("", "/a", "a/", "a/../b", "a\nb"):
        assert error(2, "set", path, text="x") == "PATH_INVALID"
        assert error(2, "get", path) == "PATH_INVALID"
    for path in ("api-pepper", "database", "rotation/jwt"):
        assert error(2, "set", path, text="x") == "SECRET_MANAGED"
        assert error(2, "delete", path, "--yes") == "SECRET_MANAGED"
        assert error(2, "restore", path) == "SECRET_MANAGED"
    # A value on the command line is refused, and not said again.
    assert error(2, "set", "a", f"key={FIRST}") == "FIELD_INVALID"
    assert error(2, "set", "a", "key", FIRST, text="x") == "VALUE_ON_COMMAND_LINE"
    assert error(2, "set", "a") == "VALUE_INVALID"  # nothing on stdin
    assert error(2, "set", "a", text="\n") == "VALUE_INVALID"
    assert error(2, "set", "a", text="x" * 600_000) == "VALUE_INVALID"
    assert error(2, "set", "a", "--max-age", "soon", text="x") == "AGE_INVALID"
    assert error(2, "set", "a", "--if-version", "-1", text="x") == "USAGE"
    assert error(1, "get", "nothing") == "SECRET_UNKNOWN"
    assert error(1, "get", "stripe", "nothing") == "SECRET_UNKNOWN"
    assert error(1, "get", "stripe", "--version", "99") == "SECRET_UNKNOWN"
    assert error(1, "delete", "nothing", "--yes") == "SECRET_UNKNOWN"
    assert error(1, "restore", "nothing") == "SECRET_UNKNOWN"
    assert error(2, "rotate", "nothing") == "USAGE"
    assert error(2, "policy", "show", "nothing") == "POLICY_UNKNOWN"
    assert [one["version"] for one in secrets(cli, "list")] == [one["version"] for one in before]


def test_providers_are_written_listed_and_deleted(cli: Cli) -> None:
    assert secrets(cli, "oauth", "list") == []
    made = secrets(cli, "oauth", "set", "github", "--client-id", "Iv1.8a61", text=f"{CLIENT}\n")
    assert (made["path"], made["version"]) == ("oauth/github", 1)
    own = ["oauth", "set", "ours", "--client-id", "x"]
    assert "issuer" in secrets(cli, *own, code=2, text=CLIENT)["message"]
    assert secrets(cli, *own, "--issuer", "http://id.example", code=2, text=CLIENT)["code"] == "INVALID"
    assert secrets(cli, *own, "--issuer", "https://id.example", text=CLIENT)["changed"] is True
    assert secrets(cli, "oauth", "set", "No/Provider", "--client-id", "x", code=2, text=CLIENT)["code"] == "INVALID"
    listed = secrets(cli, "oauth", "list")
    assert [(one["provider"], one["client_id"], one["issuer"], one["known"]) for one in listed] == [
        ("github", "Iv1.8a61", "", True),
        ("ours", "x", "https://id.example", False),
    ]
    assert "Iv1.8a61" in shown(cli, "oauth", "list")
    assert cli.run("secrets", "get", "oauth/github", "client_secret", "--reveal").stdout == f"{CLIENT}\n"
    refused = secrets(cli, "oauth", "delete", "ours", code=2)
    assert refused["code"] == "NEEDS_YES"
    secrets(cli, *refused["hint"].split()[2:])
    assert [one["provider"] for one in secrets(cli, "oauth", "list")] == ["github"]

"""API keys on the command line: made, listed, revoked, and refused by the API from then on."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.test_golden_path import get

pytestmark = pytest.mark.e2e


NOBODY = "0190aaaa-0000-7000-8000-000000000000"
TWINS = """
INSERT INTO api_key (tenant_id, id, user_id, name, secret_hash)
SELECT tenant_id, ('0190aaaa-0000-7000-8000-00000000000' || one)::uuid, id, 'twin ' || one, sha256('')
  FROM app_user, generate_series(1, 2) AS one
"""
SECOND_OWNER = """
INSERT INTO app_user (tenant_id, email, display_name, role)
SELECT tenant_id, 'carol@acme.example', 'carol', 'owner' FROM app_user
"""


def answered(cli: Cli, answer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`jeex` with a terminal on stdin where somebody types `answer`."""
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        command = [*cli.program, *arguments]
        return subprocess.run(
            command, cwd=cli.folder, env=cli.env, stdin=theirs, capture_output=True, text=True, check=False, timeout=60
        )
    finally:
        os.close(ours)
        os.close(theirs)


def listed(cli: Cli, *flags: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli.json("tenant", "key", "list", "acme", *flags)
    return found


def holds(cli: Cli, key: str) -> bool:
    status = get(cli, "/api/v1/whoami", key)[0]
    assert status in (200, 401)
    return status == 200


def test_keys_from_the_first_to_the_last(cli: Cli) -> None:
    cli.run("up")
    first = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]

    # Made for the only owner, shown once.
    made = cli.json("tenant", "key", "create", "acme", "--name", "ci", "--expires-in", "30d")
    assert (made["name"], made["user"], made["state"]) == ("ci", "alice@acme.example", "active")
    assert made["expires_at"] > made["created_at"]
    shown = cli.run("tenant", "key", "create", "acme").stdout
    quiet = cli.run("tenant", "key", "create", "acme", "--user", "ALICE@acme.example", "--quiet").stdout
    spoken = next(word for word in shown.split() if word.startswith("jx_"))
    assert quiet.count("\n") == 1
    for key in (first, made["key"], spoken, quiet.strip()):
        assert holds(cli, key)

    # Listed, oldest first; never with what makes it a key.
    ids = [one["id"] for one in listed(cli)]
    assert ids == sorted(ids)
    assert ids[1] == made["id"]
    assert ids[2] in shown
    table = cli.run("tenant", "key", "list", "acme").stdout
    assert all(line.startswith(one[:18]) for line, one in zip(table.splitlines()[1:], ids, strict=True))
    assert max(len(line) for line in table.splitlines()) <= 80
    assert "jx_" not in table

    # Nobody can be asked: refused, and the next command does it.
    error = cli.json("tenant", "key", "revoke", "acme", made["id"], code=2)
    assert (error["code"], error["hint"]) == ("NEEDS_YES", f"jeex tenant key revoke acme {made['id']} --yes")
    assert holds(cli, made["key"])
    gone = cli.json(*error["hint"].split()[1:])
    assert (gone["id"], gone["state"], gone["changed"]) == (made["id"], "revoked", True)
    assert not holds(cli, made["key"])
    assert holds(cli, first)
    again = cli.json("tenant", "key", "revoke", "acme", made["id"].replace("-", ""), "--yes")
    assert (again["revoked_at"], again["changed"]) == (gone["revoked_at"], False)
    assert made["id"] not in [one["id"] for one in listed(cli)]
    assert [one["state"] for one in listed(cli, "--all")] == ["active", "revoked", "active", "active"]

    # Somebody is asked, by name.
    declined = answered(cli, "n", "tenant", "key", "revoke", "acme", ids[2])
    assert declined.returncode == 1
    assert "alice@acme.example" in declined.stderr
    assert ids[2] in declined.stderr
    assert "[DECLINED]" in declined.stderr
    assert holds(cli, spoken)
    assert answered(cli, "y", "tenant", "key", "revoke", "acme", ids[2]).returncode == 0
    assert not holds(cli, spoken)
    cli.extra["JEEX_YES"] = "1"
    cli.run("tenant", "key", "revoke", "acme", ids[3])
    assert not holds(cli, quiet.strip())

    refusals(cli, ids[0])


def refusals(cli: Cli, key_id: str) -> None:
    """What is unknown, ambiguous or wrong, with the way on. On the stack of the test above, with JEEX_YES."""

    def error(code: int, *arguments: str) -> dict[str, str]:
        found: dict[str, str] = cli.json("tenant", "key", *arguments, code=code)
        return found

    for arguments in (["list", "nobody"], ["create", "nobody"], ["revoke", "nobody", key_id]):
        found = error(1, *arguments)
        assert (found["code"], found["hint"]) == ("TENANT_UNKNOWN", "jeex tenant list")
    assert cli.json("tenant", "show", "nobody", code=1)["hint"] == "jeex tenant list"

    found = error(1, "revoke", "acme", NOBODY)
    assert (found["code"], found["hint"]) == ("KEY_UNKNOWN", "jeex tenant key list acme --all")
    assert error(2, "revoke", "acme", "first key")["code"] == "KEY_ID_INVALID"
    other = cli.json("tenant", "create", "other", "--admin", "bob@other.example")
    theirs = cli.json("tenant", "key", "list", "other")[0]["id"]
    assert error(1, "revoke", "acme", theirs)["code"] == "KEY_UNKNOWN"
    assert holds(cli, other["key"])

    # Ids that begin alike: made here, for those of the clock hardly ever do.
    sql(cli, TWINS)
    found = error(2, "revoke", "acme", "0190AAAA")
    assert found["code"] == "KEY_AMBIGUOUS"
    assert found["detail"].splitlines() == [f"{NOBODY[:-1]}{one}  twin {one}  alice@acme.example" for one in (1, 2)]
    cli.run("tenant", "key", "revoke", "acme", f"{NOBODY[:-1]}2")
    assert [one["name"] for one in listed(cli) if one["name"].startswith("twin")] == ["twin 1"]

    assert error(1, "create", "acme", "--user", "nobody@acme.example")["code"] == "USER_UNKNOWN"
    assert error(2, "create", "acme", "--expires-in", "soon")["code"] == "USAGE"
    assert error(2, "create", "acme", "--name", "a\nb")["code"] == "INVALID"
    sql(cli, SECOND_OWNER)
    found = error(2, "create", "acme")
    assert found["code"] == "USER_NEEDED"
    assert "alice@acme.example, carol@acme.example" in found["message"]
    assert found["hint"].endswith("jeex tenant key create acme --user alice@acme.example")
    assert cli.json("tenant", "key", "create", "acme", "--user", "carol@acme.example")["user"] == "carol@acme.example"


def sql(cli: Cli, statement: str) -> None:
    """As the administration, bound to acme."""
    tenant = cli.json("tenant", "show", "acme")["tenant"]["id"]
    cli.run("db", "shell", "--", "-v", "ON_ERROR_STOP=1", "-c", f"SET app.tenant_id = '{tenant}'", "-c", statement)


def test_the_nested_group_is_like_any_other(cli: Cli) -> None:
    bare = cli.run("tenant", "key", code=2)
    assert "Usage: jeex tenant key" in bare.stderr
    listing = cli.run("tenant", "key", "--help").stdout
    assert all(f"  {name} " in listing for name in ("create", "list", "revoke"))
    assert max(len(line) for line in listing.splitlines()) <= 80
    assert "key " in cli.run("tenant", "--help").stdout
    wrong = cli.json("tenant", "key", "revok", "acme", code=2)
    assert "Did you mean 'revoke'?" in wrong["message"]
    assert wrong["hint"] == "jeex tenant key --help"
    assert cli.json("tenant", "key", "revoke", "acme", code=2)["hint"] == "jeex tenant key revoke --help"
    for words, expected in (("jeex tenant k", ["key"]), ("jeex tenant key r", ["revoke"])):
        cli.extra |= {"_JEEX_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        assert cli.run().stdout.split() == expected
    for name in ("_JEEX_COMPLETE", "COMP_WORDS", "COMP_CWORD"):
        del cli.extra[name]
    assert list(cli.folder.iterdir()) == []

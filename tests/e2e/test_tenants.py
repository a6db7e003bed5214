"""A tenant from the first to the last: used, renamed, suspended, sent away, deleted, brought back, copied."""

from __future__ import annotations

import json
import os
import signal
import stat
import urllib.request
from typing import Any

import pytest

from service.services.jobs import PURGE, WARM
from tests.e2e.conftest import Cli
from tests.e2e.test_golden_path import get

# Some forty commands, one after the other: on a busy machine that takes its time.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PASSPHRASE = "correct horse battery staple"


def send(cli: Cli, method: str, path: str, key: str, body: object, **headers: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{cli.ports['API']}/api/v1{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
        return json.loads(response.read())


def test_a_tenant_from_the_first_to_the_last(cli: Cli) -> None:
    cli.run("up")
    made = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")
    key = made["key"]

    def status() -> int:
        return get(cli, "/api/v1/whoami", key)[0]

    project = send(cli, "POST", "/projects", key, {"slug": "docs", "name": "Docs"})
    document = send(
        cli, "POST", "/documents", key, {"project_id": project["id"], "path": "a/b", "title": "T", "content": "first"}
    )

    def content() -> str:
        answer, body = get(cli, f"/api/v1/documents/{document['id']}", key)
        assert answer == 200, body
        return str(json.loads(body)["content"])

    assert content() == "first"

    # The tenant in use, and who says otherwise.
    assert cli.json("tenant", "show", code=2)["code"] == "TENANT_NEEDED"
    assert cli.json("tenant", "use", "nobody", code=1)["code"] == "TENANT_UNKNOWN"
    cli.run("tenant", "use", "acme")
    shown = cli.json("tenant", "show")
    wanted = {"users": 1, "keys": 1, "projects": 1, "documents": 1}
    assert shown["counts"].items() >= wanted.items()
    assert shown["bytes"]["document"] > 0 and shown["last_activity"]
    assert [one["name"] for one in cli.json("tenant", "key", "list")] == ["first key"]
    assert cli.json("db", "explain", "SELECT title FROM document")["tenant"] == "acme"
    settings = cli.run("config", "show").stdout
    assert "JEEX_TENANT" in settings and "jeex tenant use" in settings
    cli.extra["JEEX_TENANT"] = "other"
    assert cli.json("tenant", "show", code=1)["code"] == "TENANT_UNKNOWN"
    del cli.extra["JEEX_TENANT"]

    # Another name: keys hold, and what is in use follows.
    assert cli.json("tenant", "rename", "acme", code=2)["code"] == "USAGE"
    cli.run("tenant", "rename", "acme", "acme-west", "--name", "Acme West")
    assert (cli.json("tenant", "show")["tenant"]["name"], status()) == ("Acme West", 200)

    cli.run("tenant", "suspend", "acme-west")
    assert status() == 403
    cli.run("tenant", "resume", "acme-west")
    assert status() == 200

    # Away and back: what the API has copies of is what was brought back.
    assert cli.json("tenant", "export", "acme-west", "acme.tenant", "--encrypt", text="short\n", code=2)["code"] == "INVALID"
    assert not (cli.folder / "acme.tenant").exists()
    sent = cli.json("tenant", "export", "acme-west", "acme.tenant", "--encrypt", text=f"{PASSPHRASE}\n")
    file = cli.folder / "acme.tenant"
    assert (sent["encrypted"], sent["rows"]["document"], stat.S_IMODE(file.stat().st_mode)) == (True, 1, 0o600)
    assert cli.json("tenant", "export", "acme-west", "acme.tenant", code=2)["code"] == "FILE_EXISTS"
    send(cli, "PATCH", f"/documents/{document['id']}", key, {"content": "second"}, **{"If-Match": "*"})
    assert content() == "second"
    assert cli.json("tenant", "import", "acme.tenant", text=PASSPHRASE, code=1)["code"] == "TENANT_THERE"
    assert cli.json("tenant", "delete", "acme-west", "--purge", code=2)["code"] == "NEEDS_YES"
    cli.run("tenant", "delete", "acme-west")
    assert status() == 401
    cli.run("tenant", "restore", "acme-west")
    assert (status(), content()) == (200, "second")
    cli.run("tenant", "delete", "acme-west", "--purge", "--yes")
    assert status() == 401
    assert cli.json("tenant", "import", "acme.tenant", text="", code=2)["code"] == "PASSPHRASE_NEEDED"
    assert cli.json("tenant", "import", "acme.tenant", text="another passphrase", code=1)["code"] == "FILE_SEAL"
    passphrase = cli.folder / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    back = cli.json("tenant", "import", "acme.tenant", "--passphrase-file", "passphrase")
    assert (back["slug"], back["passwords"], status(), content()) == ("acme-west", 0, 200, "first")

    # A second one like it.
    copy = cli.json("tenant", "clone", "acme-west", "copy")
    assert copy["id"] != back["id"] and copy["left_out"] == {"api_key": 1}
    assert cli.json("tenant", "clone", "acme-west", "copy", code=1)["code"] == "SLUG_TAKEN"
    assert cli.json("tenant", "show", "copy")["counts"]["documents"] == 1
    # Nobody asked for a job: there are only those that the platform makes for each tenant by itself.
    assert {one["kind"] for one in cli.json("jobs", "list")} <= {PURGE, WARM}
    (cli.folder / "noise").write_bytes(b"no export")
    assert cli.json("tenant", "import", "noise", code=1)["code"] == "FILE_FOREIGN"
    assert cli.json("tenant", "import", "nowhere", code=2)["code"] == "FILE_UNREADABLE"
    cli.run("tenant", "use", "--forget")
    assert cli.json("tenant", "show", code=2)["code"] == "TENANT_NEEDED"
    assert PASSPHRASE not in cli.logs()

    # Redis is told of what its copies no longer show, or nothing is done; unless there are none.
    os.kill(cli.services()["redis"]["pid"], signal.SIGKILL)
    refused = cli.json("tenant", "clone", "copy", "third", code=5)
    assert refused["code"] == "REDIS_UNAVAILABLE" and "nothing was changed" in refused["message"]
    cli.extra["JEEX_CACHE"] = "off"
    cli.run("tenant", "clone", "copy", "third")
    assert {one["slug"] for one in cli.json("tenant", "list")} == {"acme-west", "copy", "third"}

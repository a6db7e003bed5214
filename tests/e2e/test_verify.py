"""`jeex tenant verify` where tenants are kept apart, and where they are not: each hole is made, found, and closed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.e2e.doctor.conftest import secret, sql
from tests.e2e.test_golden_path import get
from tests.e2e.test_jobs import ask
from tests.e2e.test_recovery import setting, vault
from tests.integration.service.machine import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]  # of a slow machine; each takes some seconds

CANARIES = "SELECT count(*) FROM tenant WHERE slug LIKE 'jeex-canary-%'"
# Every row of every tenant, but for what the platform itself changes.
ROWS = """
SELECT md5(string_agg(one, '' ORDER BY one)) FROM (
  SELECT row(t.*)::text AS one FROM tenant t UNION ALL SELECT row(t.*)::text FROM app_user t
  UNION ALL SELECT (to_jsonb(t) - 'last_used_at')::text FROM api_key t UNION ALL SELECT row(t.*)::text FROM project t
  UNION ALL SELECT row(t.*)::text FROM document t) AS everything
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A stack with a tenant of somebody's, which is as it was when all is over."""
    one = make_cli(tmp_path_factory.mktemp("verify"))
    try:
        one.run("up")
        key = one.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
        project = ask(one, key, "POST", "/projects", {"slug": "p", "name": "P"})
        ask(one, key, "POST", "/documents", {"project_id": project["id"], "path": "d", "title": "D", "content": "mine"})
        get(one, f"/api/v1/projects/{project['id']}", key)
        before = sql(one, ROWS)
        yield one
        assert sql(one, ROWS) == before
        assert nothing_left(one)
        one.run("down", "--delete-data", "--yes")
        one.assert_nothing_left()
    finally:
        kill_leftovers(one)


def cache(cli: Cli) -> redis.Redis:
    return redis.Redis(port=cli.ports["REDIS"], password=secret(cli, "JEEX_REDIS_PASSWORD"))


def nothing_left(cli: Cli) -> bool:
    """No tenant, no job, no message, no copy; the one tenant that there was has its own."""
    acme = cli.json("tenant", "show", "acme")["tenant"]["id"].replace("-", "")
    with cache(cli) as found:
        names = [name.decode() for name in found.keys("*")]
    strange = [one for one in names if one.startswith("jeex:cache:") and acme not in one]
    assert set(strange) <= {"jeex:cache:epoch", "jeex:cache:server"}
    assert [one for one in names if "canary" in one] == []
    assert sql(cli, "SELECT count(*) FROM job j LEFT JOIN tenant t ON t.id = j.tenant_id WHERE t.id IS NULL") == "0"
    return sql(cli, CANARIES) == "0"


def holes(cli: Cli) -> list[str]:
    """What verify finds, as `area: what was found`; the exit code must be 7."""
    document = json.loads(cli.run("tenant", "verify", "--json", code=7).stdout)
    error, data = document["error"], document["data"]
    found = [f"{one['area']}: {one['seen']}" for one in data["attacks"] if one["outcome"] == "hole"]
    assert error["code"] == "TENANTS_NOT_APART"
    assert error["message"].endswith(found[0].partition(": ")[2])
    assert error["hint"]
    assert all(one["close"] for one in data["attacks"] if one["outcome"] == "hole")
    assert sum(one["holes"] for one in data["areas"]) == len(found)
    return found


def says(found: list[str], *texts: str) -> None:
    """Each of `texts` is a hole that was found."""
    for text in texts:
        assert any(text in one for one in found), (text, found)


@contextmanager
def seeded(cli: Cli, *pairs: tuple[str, str]) -> Iterator[None]:
    """Each first statement is done, and in the end each second one: the stack is as it was."""
    done = []
    try:
        for statement, undo in pairs:
            sql(cli, statement)
            done.append(undo)
        yield
    finally:
        for undo in reversed(done):
            sql(cli, undo)


def test_all_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    ran = cli.run("tenant", "verify", "--keep-evidence", str(file))
    lines = {line.split()[0]: line.split()[1:] for line in ran.stdout.splitlines() if line[:1].islower()}
    assert set(lines) == {"api", "sql", "redis", "vault", "queue"}
    assert all(int(tried) > 4 and tried == refused and rest == ["0", "0"] for tried, refused, *rest in lines.values())
    assert "Every attack was refused" in ran.stdout
    assert "credentials" in ran.stderr  # progress
    assert nothing_left(cli)

    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads(file.read_text())
    tried = {one["what"] for one in kept["attacks"]}
    for what in (
        "GET /api/v1/projects/{project_id} with the other's project in the path, by key",
        "PATCH /api/v1/users/{user_id} with the other's user in the path, by token",
        "POST /api/v1/projects/{project_id}/export with the other's project in the path, by token",
        "POST /api/v1/documents with the other's project in the body, by token",
        "GET /api/v1/jobs/{job_id}/result with the other's job in the path, by key",
        "GET /api/v1/jobs/events while something happens to the other",
        "PUT /api/v1/documents/{document_id} with the other's document in the path",
        "GET /api/v1/whoami with a token that keeps a signature and asks for alg none",
        "a job that is to export the other's project",
        "POST /api/v1/sign-in at the other's, with one's own password",
        "POST /api/v1/projects with the other's Idempotency-Key",
        "a message signed with another key",
        "jeex-api: read secret/data/jeex/queue-key",
        "jeex-worker: change auth/approle/role/jeex-api/secret-id",
        "plant a value under one's own key",
        "public.job_due: take over",
        "public.api_key: read while bound to no tenant",
        "SET ROLE jeex_owner",
    ):
        assert any(one.startswith(what) for one in tried), what
    # Refused because it is another's, not because it was badly asked for.
    answers = {one["what"]: one["seen"] for one in kept["attacks"]}
    assert (
        answers["PATCH /api/v1/documents/{document_id} with the other's document in the path, by key"]
        == "404 DOCUMENT_UNKNOWN"
    )
    assert answers["POST /api/v1/keys with the other's user in the body, by key"] == "404 USER_UNKNOWN"
    assert [one["seen"] for one in kept["attacks"] if re.match(r"(400|5\d\d)\b", one["seen"])] == []
    # Nothing that would let somebody in.
    assert not any(word in file.read_text() for word in ("jx_", "eyJ", setting(cli, "JEEX_REDIS_PASSWORD")))


def write_policy(cli: Cli, name: str, text: str) -> None:
    """As the one who sets Vault up."""
    login = {"role_id": "jeex-setup", "secret_id": setting(cli, "JEEX_VAULT_SETUP_SECRET")}
    token = vault(cli, "auth/approle/login", login)["auth"]["client_token"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{cli.ports['VAULT']}/v1/sys/policies/acl/{name}",
        headers={"X-Vault-Token": token},
        data=json.dumps({"policy": text}).encode(),
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - loopback


def test_holes_of_the_database_the_cache_and_vault(cli: Cli) -> None:
    """Several at once: each is named for itself."""
    with (
        cache(cli) as found,
        seeded(
            cli,
            ("CREATE POLICY more ON document FOR SELECT TO jeex_app USING (true)", "DROP POLICY more ON document"),
            ("ALTER TABLE job_result NO FORCE ROW LEVEL SECURITY", "ALTER TABLE job_result FORCE ROW LEVEL SECURITY"),
            ("ALTER TABLE project DISABLE ROW LEVEL SECURITY", "ALTER TABLE project ENABLE ROW LEVEL SECURITY"),
            ("GRANT SELECT ON job TO PUBLIC", "REVOKE SELECT ON job FROM PUBLIC"),
            (
                "CREATE FUNCTION everything() RETURNS SETOF document LANGUAGE sql SECURITY DEFINER AS 'TABLE document'",
                "DROP FUNCTION everything()",
            ),
            ("CREATE VIEW titles AS SELECT title FROM document; GRANT SELECT ON titles TO jeex_app", "DROP VIEW titles"),
            ("CREATE UNIQUE INDEX everybodys ON app_user (email)", "DROP INDEX everybodys"),
        ),
    ):
        found.set("jeex:cache:document:row:0", "of anybody")
        write_policy(
            cli, "jeex-worker", 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
        )
        try:
            all_of_them = holes(cli)
        finally:
            found.delete("jeex:cache:document:row:0")
            cli.run("secrets", "seed")
    says(
        all_of_them,
        "sql: the policy more of document lets rows of other tenants through: USING (true)",
        "sql: jeex_app, bound to one tenant, can read rows of another in public.document",
        "sql: row security of job_result is not forced",
        "sql: row security of project is off",
        "sql: jeex_app, bound to one tenant, can delete rows of another in public.project",
        "sql: public.project can be asked without a tenant",
        "sql: everybody (PUBLIC) has SELECT on job",
        "sql: the function everything() is SECURITY DEFINER: whoever calls it sees what postgres sees",
        "sql: the view titles shows what postgres sees",
        "sql: the key everybodys of app_user is without the tenant",
        "sql: a key of public.app_user goes over all tenants",
        "redis: the key jeex:cache:document:row:0 of the cache names no tenant",
        "vault: the policy jeex-worker in Vault is not the declared one",
        "vault: in Vault, jeex-worker may read secret/data/jeex/api-pepper",
        "vault: in Vault, jeex-worker has create, delete, sudo, update on sys/seal",
    )
    # The statements of the API name the tenant, whatever row security does; and the API's policy is as it was.
    assert not [one for one in all_of_them if one.startswith(("api:", "queue:", "vault: in Vault, jeex-api"))]
    assert nothing_left(cli)


def test_a_role_that_row_security_does_not_hold(cli: Cli) -> None:
    with seeded(cli, ("ALTER ROLE jeex_app BYPASSRLS", "ALTER ROLE jeex_app NOBYPASSRLS")):
        found = holes(cli)
    says(
        found,
        "sql: jeex_app is BYPASSRLS: row security does not hold it",
        "sql: jeex_app, bound to one tenant, can change rows of another in public.api_key",
    )
    assert nothing_left(cli)


def test_a_policy_that_is_gone(cli: Cli) -> None:
    """Nobody can write there any more, so there are no canaries: what is known without them is told all the same."""
    bound = "tenant_id = current_setting('app.tenant_id')::uuid"
    with seeded(
        cli,
        (
            "DROP POLICY own_tenant ON document",
            f"CREATE POLICY own_tenant ON document TO jeex_app, jeex_admin USING ({bound}) WITH CHECK ({bound})",
        ),
    ):
        says(holes(cli), "sql: document has no policy that is bound to a tenant")
    assert nothing_left(cli)


def ready(cli: Cli) -> bool:
    """Whether the API answers, and can do its work."""
    try:
        return get(cli, "/ready")[0] == 200
    except OSError:
        return False


@contextmanager
def careless(cli: Cli) -> Iterator[None]:
    """A worker and an API in whose places stand such with mistakes."""
    pids = [cli.services()[name]["pid"] for name in ("worker", "api")]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    run, program, started = cli.folder / ".jeex" / "run", Path(__file__).with_name("careless.py"), []
    try:
        for name in ("worker", "api"):
            environment = {**cli.env, "SETTINGS_FILE": str(run / f"{name}.settings.json")}
            with (cli.folder / ".jeex" / "logs" / f"careless-{name}.log").open("w") as out:
                command = [sys.executable, "-P", program, name]
                started.append(subprocess.Popen(command, cwd=run, env=environment, stdout=out, stderr=out))
        until(lambda: ready(cli), seconds=60, pause=0.2)
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)
        cli.run("up")


def test_holes_of_the_service(cli: Cli) -> None:
    """Statements without the tenant where row security is off, keys without it, a worker that believes everything."""
    off = ("ALTER TABLE project DISABLE ROW LEVEL SECURITY", "ALTER TABLE project ENABLE ROW LEVEL SECURITY")
    with careless(cli), seeded(cli, off):
        found = holes(cli)
    says(
        found,
        "api: GET /api/v1/projects/{project_id} shows another tenant's project",
        "redis: the key jeex:cache:project:row:",
        "queue: a worker does what a message signed with another key says: the other's job is done",
        "queue: a worker does what a message without a signature says",
    )
    with cache(cli) as store:  # what the careless one has kept for itself
        for name in store.keys("jeex:cache:project:*") + store.keys("jeex:cache:document:*"):
            store.delete(name)
    assert nothing_left(cli)


def begun(cli: Cli) -> subprocess.Popen[str]:
    """A proof whose canaries are there."""
    process = cli.start("tenant", "verify")
    until(lambda: sql(cli, CANARIES) == "2", seconds=30)
    return process


def test_one_proof_at_a_time(cli: Cli) -> None:
    """The next one takes away what it takes for left over."""
    lock = "SELECT pg_advisory_lock(7305160023), pg_sleep(60)"
    other = cli.start("db", "shell", "--role", "superuser", "--", "-c", lock)
    try:
        until(lambda: sql(cli, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "1", seconds=30)
        assert cli.json("tenant", "verify", code=1)["code"] == "PROOF_RUNNING"
    finally:
        other.kill()
        other.communicate()
        sql(cli, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")


def test_nothing_is_left_however_it_ends(cli: Cli) -> None:
    process = begun(cli)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "interrupted [INTERRUPTED]" in said) == (130, True), said
    assert nothing_left(cli)

    # Killed: the next one takes away what is left. A tenant that only looks alike stays.
    cli.run("tenant", "create", "jeex-canary-000000000000", "--admin", "bob@real.example", "--name", "Isolation canary")
    try:
        process = cli.start("tenant", "verify")
        until(lambda: sql(cli, CANARIES) == "3", seconds=30)
        process.kill()
        process.communicate()
        assert sql(cli, CANARIES) == "3"
        until(lambda: sql(cli, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jeex-verify'") == "0")
        found: dict[str, Any] = cli.json("tenant", "verify")
        assert found["removed"] == 2
        assert sql(cli, CANARIES) == "1"
    finally:
        sql(cli, "DELETE FROM tenant WHERE slug = 'jeex-canary-000000000000'")
    assert nothing_left(cli)


def test_what_could_not_be_tried_proves_nothing(cli: Cli) -> None:
    os.kill(cli.services()["worker"]["pid"], signal.SIGKILL)
    try:
        error = cli.json("tenant", "verify", code=1)
    finally:
        cli.run("up")
    assert error["code"] == "PROOF_INCOMPLETE"
    assert "queue: jobs: the attacker's own job is queued after 20 s" in error["detail"]
    assert nothing_left(cli)


def test_without_a_stack(tmp_path: Path) -> None:
    error = make_cli(tmp_path).json("tenant", "verify", code=5)
    assert "PostgreSQL" in error["message"]
    assert "jeex up" in error["hint"]

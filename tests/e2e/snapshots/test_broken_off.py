"""Restores that do not come to their end, and snapshots that cannot be used: nothing is lost, nothing is half."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

from jeex_cli.ops.snapshot_manifest import MANIFEST
from tests.e2e.doctor.conftest import mounted, root_only
from tests.e2e.snapshots.conftest import DATABASES, House

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


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

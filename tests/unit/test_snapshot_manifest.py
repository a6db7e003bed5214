"""What a snapshot says of itself, and whether it is believed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.errors import DataError, UsageError
from jeex_cli.ops import snapshot_manifest, snapshot_redis, snapshot_store
from jeex_cli.ops.snapshot_manifest import FILES, File, Keys, Manifest, parse
from jeex_cli.project import Project

KEY = "a" * 64


def manifest(**changes: Any) -> Manifest:
    made = Manifest(
        id="20260101-120000-abcdef",
        created="2026-01-01T12:00:00+00:00",
        jeex="0.1.0",
        reason="",
        automatic=True,
        runtime="embedded",
        project="p",
        head="0001",
        vault="openbao",
        versions={"postgresql": "18.1"},
        files={name: File(3, "0" * 64) for name in FILES},
        rows={"jeex: public.tenant": 1},
        redis=Keys(1, {"string": 1}, 1, "00"),
        opens_with=dict.fromkeys(snapshot_manifest.KEYS, "00"),
    )
    return replace(made, **changes).sealed(KEY)


def test_what_is_written_is_read_and_is_authentic() -> None:
    found = parse(manifest().text().encode(), "x")
    assert found == manifest()
    assert found.is_authentic(KEY)
    assert (found.size, found.total_rows) == (9, 1)


def test_whatever_is_changed_shows_and_so_does_another_key() -> None:
    one = manifest()
    assert not one.is_authentic("b" * 64)
    document = asdict(one)
    changes = {"head": "0002", "rows": {}, "reason": "x", "created": "", "versions": {}, "opens_with": {}}
    assert all(not replace(one, **{name: value}).is_authentic(KEY) for name, value in changes.items())
    assert not replace(one, files={**one.files, "jeex.dump": File(3, "1" * 64)}).is_authentic(KEY)
    assert set(document) >= set(changes)
    assert replace(one, automatic=False).is_authentic(KEY)  # what is imported is kept


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("SNAPSHOT_FORMAT", {"format": 2}),
        ("SNAPSHOT_FORMAT", {"format": "1"}),
        ("SNAPSHOT_INVALID", {"id": "../../etc"}),
        ("SNAPSHOT_INVALID", {"id": 3}),
        ("SNAPSHOT_INVALID", {"files": {}}),
        ("SNAPSHOT_INVALID", {"files": {name: {"size": -1, "sha256": "0" * 64} for name in FILES}}),
        ("SNAPSHOT_INVALID", {"files": {name: {"size": True, "sha256": "0" * 64} for name in FILES}}),
        ("SNAPSHOT_INVALID", {"files": {name: {"size": 1, "sha256": "0"} for name in FILES}}),
        ("SNAPSHOT_INVALID", {"files": {**asdict(manifest())["files"], "/etc/passwd": {"size": 1, "sha256": "0" * 64}}}),
        ("SNAPSHOT_INVALID", {"rows": {"t": "many"}}),
        ("SNAPSHOT_INVALID", {"rows": []}),
        ("SNAPSHOT_INVALID", {"redis": None}),
        ("SNAPSHOT_INVALID", {"opens_with": {}}),
        ("SNAPSHOT_INVALID", {"head": 1}),
    ],
)
def test_what_is_not_as_jeex_writes_it_is_refused(code: str, changes: dict[str, Any]) -> None:
    document = {**asdict(manifest()), **changes}
    with pytest.raises(DataError) as refused:
        parse(json.dumps(document).encode(), "file.tar")
    assert refused.value.code == code
    assert "file.tar" in refused.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * (snapshot_manifest.LIMIT + 1), b"{}"])
def test_what_is_no_manifest_at_all(content: bytes) -> None:
    with pytest.raises(DataError):
        parse(content, "x")


def store(tmp_path: Path, count: int, size: int = 100, *, automatic: bool = True) -> Project:
    project = Project(tmp_path)
    for number in range(count):
        one = manifest(
            id=f"202601{number + 1:02}-120000-abcdef",
            automatic=automatic,
            files={name: File(size, "0" * 64) for name in FILES},
        )
        with snapshot_store.made(project, one.id) as folder:
            snapshot_store.write_manifest(folder, one)
    return project


def days(project: Project) -> list[int]:
    return [int(one.id[6:8]) for one in snapshot_store.find_all(project)]


def test_old_automatic_ones_go_by_number_and_by_size(tmp_path: Path) -> None:
    project = store(tmp_path, 5)
    assert len(snapshot_store.prune(project, keep=3, most_bytes=10_000)) == 2
    assert days(project) == [3, 4, 5]
    snapshot_store.prune(project, keep=3, most_bytes=700)
    assert days(project) == [4, 5]
    snapshot_store.prune(project, keep=0, most_bytes=0)
    assert days(project) == [5]  # the newest stays


def test_those_of_the_users_stay_and_so_does_what_is_needed(tmp_path: Path) -> None:
    project = store(tmp_path, 3, automatic=False)
    assert snapshot_store.prune(project, keep=0, most_bytes=0) == []
    project = store(tmp_path / "other", 3)
    first = snapshot_store.find_all(project)[0].id
    snapshot_store.prune(project, keep=1, most_bytes=10_000, spare=(first,))
    assert days(project) == [1, 3]


def test_what_fails_leaves_nothing_and_what_was_killed_is_cleared_away(tmp_path: Path) -> None:
    project = store(tmp_path, 1)
    with pytest.raises(RuntimeError), snapshot_store.made(project, "20260109-120000-abcdef") as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert [one.name for one in snapshot_store.folder(project).iterdir()] == ["20260101-120000-abcdef"]
    left = snapshot_store.folder(project) / ".new-20260108-120000-abcdef"
    left.mkdir()
    assert days(project) == [1]
    with snapshot_store.made(project, "20260110-120000-abcdef"):
        assert not left.exists()
    snapshot_store.remove(project, "20260101-120000-abcdef")
    with pytest.raises(UsageError):
        snapshot_store.read(project, "20260101-120000-abcdef")


@pytest.mark.parametrize(
    "content",
    [
        b"*3\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$3\r\ndir\r\n",
        b"*1\r\n$8\r\nFLUSHALL\r\n",
        b"*3\r\n$4\r\nEVAL\r\n$1\r\n1\r\n$1\r\n0\r\n",
        b"*2\r\n$6\r\nXGROUP\r\n$7\r\nSETID..\r\n",
        b"*0\r\n",
        b"*99999999999\r\n",
        b"*1\r\n$99999999999\r\nSET\r\n",
        b"*1\r\n$-1\r\n",
        b"*2\r\n$3\r\nSET\r\n$5\r\nab",
        b"SET a b\r\n",
    ],
)
def test_a_file_of_commands_makes_keys_and_does_nothing_else(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "redis.commands"
    good = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\n"
    file.write_bytes(good)
    snapshot_redis.check(file)
    file.write_bytes(good + content)
    with pytest.raises(DataError):
        snapshot_redis.check(file)

"""Files from anywhere: whatever is not as it was exported is refused with the reason, and nothing of it is written."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.errors import DataError, JeexError, UsageError
from jeex_cli.ops import snapshot_files, snapshots
from jeex_cli.ops.snapshot_manifest import FILES, MANIFEST, File, Manifest
from jeex_cli.output import Output
from jeex_cli.session import Session, open_session
from tests.unit.test_snapshot_manifest import KEY, manifest

CONTENT = {name: name.encode() * 200 for name in FILES} | {"redis.commands": b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n"}
Member = tuple[str, bytes, dict[str, Any]]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".env").write_text(f"JEEX_VAULT_SEAL_KEY={KEY}\nJEEX_VAULT_SETUP_SECRET=s\n")
    environ = {"JEEX_RUNTIME": "embedded", "HOME": str(tmp_path)}
    return open_session(folder=str(folder), flags={}, environ=environ, output=Output(json=True), cwd=folder)


def made(session: Session, **changes: Any) -> Manifest:
    files = {name: File(len(content), hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items()}
    return manifest(**{"files": files, "opens_with": snapshots.opens_with(session), **changes})


def members(one: Manifest) -> list[Member]:
    return [(MANIFEST, one.text().encode(), {}), *((name, CONTENT[name], {}) for name in FILES)]


def packed(file: Path, parts: list[Member], mode: Any = "w") -> Path:
    with tarfile.open(file, mode) as tar:
        for name, content, about in parts:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in about.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return file


def refused(session: Session, file: Path) -> JeexError:
    with pytest.raises((DataError, UsageError)) as found:
        snapshot_files.take_in(session, file)
    place = session.project.folder / "snapshots"
    assert not place.exists() or list(place.iterdir()) == []
    assert found.value.hint
    return found.value


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
HOSTILE: dict[str, Callable[[list[Member]], list[Member]]] = {
    "does not begin with manifest": lambda parts: parts[1:],
    "'../../evil'": lambda parts: [*parts[:3], ("../../evil", b"x", {}), *parts[3:]],
    "'/etc/cron.d/evil'": lambda parts: [*parts, ("/etc/cron.d/evil", b"x", {})],
    "'sub/jeex.dump'": lambda parts: [parts[0], ("sub/jeex.dump", parts[1][1], {}), *parts[2:]],
    "has 'jeex.dump'": lambda parts: [*parts, parts[1]],
    "'jeex.dump', which does not": lambda parts: [parts[0], ("jeex.dump", b"", LINK), *parts[2:]],
    "'jeex_vault.dump', which": lambda parts: [*parts[:2], ("jeex_vault.dump", b"", {**LINK, "type": tarfile.LNKTYPE})],
    "'redis.commands', which": lambda parts: [*parts[:3], ("redis.commands", b"", {"type": tarfile.FIFOTYPE})],
    "is missing": lambda parts: parts[:3],
    "its manifest says": lambda parts: [parts[0], ("jeex.dump", CONTENT["jeex.dump"] + b"x", {}), *parts[2:]],
    "its checksum": lambda parts: [parts[0], ("jeex.dump", CONTENT["jeex.dump"][:-1] + b"x", {}), *parts[2:]],
    "does not begin with": lambda parts: [("manifest.json", b"", LINK), *parts[1:]],
}


@pytest.mark.parametrize("why", HOSTILE)
def test_a_hostile_file(session: Session, tmp_path: Path, why: str) -> None:
    error = refused(session, packed(tmp_path / "x.tar", HOSTILE[why](members(made(session)))))
    assert why in error.message, error.message


def test_a_file_that_ends_early_anywhere(session: Session, tmp_path: Path) -> None:
    whole = packed(tmp_path / "x.tar", members(made(session))).read_bytes()
    end = whole.rstrip(b"\0")
    for length in (0, 1, 511, 512, 600, 1024, 2048, len(end) // 2, len(end) - 10):
        (tmp_path / "x.tar").write_bytes(whole[:length])
        refused(session, tmp_path / "x.tar")


def test_what_is_no_tar_or_a_compressed_one(session: Session, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"PK\x03\x04" + b"x" * 5000)
    refused(session, tmp_path / "x")
    # A bomb would have to be compressed.
    assert "tar" in refused(session, packed(tmp_path / "x.gz", members(made(session)), "w:gz")).message
    assert refused(session, tmp_path / "none").code == "FILE_MISSING"
    assert refused(session, tmp_path).code == "FILE_MISSING"


def test_a_manifest_that_announces_more_than_there_is(session: Session, tmp_path: Path) -> None:
    one = made(session)
    huge = replace(one, files={**one.files, "jeex.dump": File(10**15, "0" * 64)}).sealed(KEY)
    assert "shorter" in refused(session, packed(tmp_path / "x.tar", members(huge))).message


def test_checksums_that_fit_do_not_help_who_has_not_the_key(session: Session, tmp_path: Path) -> None:
    """All that is left to a forger: what he has made is in itself as it should be, and bears no mark of this key."""
    forged = replace(made(session), reason="mine").sealed("b" * 64)
    assert refused(session, packed(tmp_path / "x.tar", members(forged))).code == "SNAPSHOT_TAMPERED"


def test_a_dump_that_is_none_and_commands_that_do_more_than_make_keys(session: Session, tmp_path: Path) -> None:
    assert "cannot be read back" in refused(session, packed(tmp_path / "x.tar", members(made(session)))).message
    bad = b"*1\r\n$8\r\nFLUSHALL\r\n"
    one = made(session)
    files = {**one.files, "redis.commands": File(len(bad), hashlib.sha256(bad).hexdigest())}
    parts = [*members(replace(one, files=files).sealed(KEY))[:3], ("redis.commands", bad, {})]
    assert "FLUSHALL" in refused(session, packed(tmp_path / "y.tar", parts)).message

"""Revisions read from their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrations import revisions


def write(folder: Path, revision: str, parent: str | None) -> None:
    text = f'"""what {revision} does\n\nRevises: x\nCreate Date: 2026-01-02 03:04:05+00:00\n"""\n'
    (folder / f"{revision}_x.py").write_text(f"{text}revision = {revision!r}\ndown_revision = {parent!r}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(revisions, "VERSIONS", tmp_path)
    return tmp_path


def test_in_order_of_descent_whatever_their_names(folder: Path) -> None:
    for revision, parent in (("0003", "0001"), ("0001", None), ("0002", "0003")):
        write(folder, revision, parent)
    found = revisions.history()
    assert [one.id for one in found] == ["0001", "0003", "0002"]
    assert (found[0].message, found[0].date) == ("what 0001 does", "2026-01-02 03:04:05+00:00")
    assert revisions.head() == "0002"


def test_two_children_or_a_lost_one_are_mistakes(folder: Path) -> None:
    write(folder, "0001", None)
    write(folder, "0009", "0008")
    with pytest.raises(ValueError, match="no revision leads to 0009"):
        revisions.history()
    write(folder, "0008", "0001")
    write(folder, "0002", "0001")
    with pytest.raises(ValueError, match="both follow 0001"):
        revisions.history()

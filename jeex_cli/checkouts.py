"""Which checkout of this user's owns which ports, in a file of the user's: two stacks run side by side without a thought.

The first one owns 5200-5250, each further one a block of its own above 25200. Blocks of checkouts that are gone are given
out again. The file is a convenience: where it cannot be read or written everybody gets the first block, and `up` moves what
is taken.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from jeex_cli.errors import NotReady
from jeex_cli.project import STATE_FOLDER, write_private

FIRST = 5200
SIZE = 51  # ports of a block: 5200-5250
_FURTHER = range(25_200, 32_700, 100)  # below what kernels give to outgoing connections, and above what is well known
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Checkout:
    """A project's folder, the first port of its block, its name as Compose has it, and its instance's id."""

    root: Path
    block: int
    name: str
    instance: str


def registry(environ: Mapping[str, str]) -> Path | None:
    """The file: under XDG_STATE_HOME or ~/.local/state; None for a user without a home."""
    base = environ.get("XDG_STATE_HOME") or (f"{environ['HOME']}/.local/state" if environ.get("HOME") else "")
    return Path(base) / "jeex" / "checkouts.json" if base.startswith("/") else None


def known(file: Path | None) -> list[Checkout]:
    """The checkouts that there still are; none where the file is not there or not what jeex wrote."""
    try:
        document = json.loads(file.read_text(encoding="utf-8")) if file is not None else {}
        found = [
            Checkout(Path(one["root"]), int(one["block"]), str(one["name"]), str(one["instance"]))
            for one in document["checkouts"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [one for one in found if (one.root / STATE_FOLDER).is_dir()]


def block_for(checkouts: list[Checkout], root: Path, wanted: int | None = None) -> int:
    """The first port of the block that the checkout at `root` owns or would be given; `wanted` if nobody else has that."""
    taken = {one.block for one in checkouts if one.root != root}
    own = next((one.block for one in checkouts if one.root == root), None)
    candidates = [one for one in (wanted, own) if one is not None]
    return next((one for one in (*candidates, FIRST, *_FURTHER) if one not in taken), FIRST)


def claim(file: Path | None, root: Path, *, wanted: int | None, name: str, instance: str) -> int:
    """Write down that the checkout at `root` owns a block, and say which. Where that cannot be written it owns it all the
    same, as far as nobody else knows."""
    if file is None:
        return wanted or FIRST
    try:
        with _locked(file):
            before = known(file)
            mine = Checkout(root, block_for(before, root, wanted), name, instance)
            if mine not in before:
                entries = [
                    asdict(one) | {"root": str(one.root)} for one in (*before, mine) if one is mine or one.root != root
                ]
                write_private(file, json.dumps({"version": _VERSION, "checkouts": entries}, indent=2) + "\n")
            return mine.block
    except (OSError, NotReady):
        return block_for(known(file), root, wanted)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for a millisecond
        yield
    finally:
        os.close(descriptor)

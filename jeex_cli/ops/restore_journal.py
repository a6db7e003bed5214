"""What a restore has done so far, in `.jeex/restore.json`: if it is killed, the next `jeex up` finishes it or takes it
back.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from jeex_cli.errors import NotReady, StateError
from jeex_cli.ops import snapshot_manifest
from jeex_cli.project import Project, write_private

_FILE = "restore.json"
# filling: databases beside the ones in use are filled; taking it back is to drop them.
# replacing: they are whole and verified. Redis is being replaced, then they take the place of the others.
Stage = Literal["filling", "replacing"]


@dataclass(frozen=True, slots=True)
class Journal:
    """`before` is the snapshot of what there was, "" where there was nothing. `runtime` has the data."""

    snapshot: str
    before: str
    runtime: str
    stage: Stage = "filling"


def write(project: Project, journal: Journal) -> None:
    """Remember it, whatever happens next."""
    write_private(project.folder / _FILE, json.dumps({"version": 1, **asdict(journal)}) + "\n", durable=True)


def read(project: Project) -> Journal | None:
    """That of a restore that has not come to its end. Raises StateError for a file that jeex has not written."""
    path = project.folder / _FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = Journal(document["snapshot"], document["before"], document["runtime"], document["stage"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _corrupt(path) from error
    if found.stage not in get_args(Stage) or not all(
        one == "" or snapshot_manifest.is_id(one) for one in (found.snapshot, found.before)
    ):
        raise _corrupt(path)
    return found


def names(project: Project) -> tuple[str, ...]:
    """The snapshots that the restore under way needs."""
    found = read(project)
    return () if found is None else (found.snapshot, found.before)


def refuse_unfinished(project: Project) -> None:
    """Raise NotReady where a restore was killed, for commands that would work on half of it or take away what it needs."""
    found = read(project)
    if found is not None:
        raise NotReady(
            f"a restore of the snapshot {found.snapshot} was broken off",
            code="RESTORE_UNFINISHED",
            hint="jeex up finishes it, or takes it back",
        )


def remove(project: Project) -> None:
    """It is over."""
    (project.folder / _FILE).unlink(missing_ok=True)


def _corrupt(path: object) -> StateError:
    return StateError(
        f"{path} is not what jeex wrote there",
        hint=f"delete it, then look whether the data is what you expect: rm '{path}'; jeex up; jeex snapshot list",
    )

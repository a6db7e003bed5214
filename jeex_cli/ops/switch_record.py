"""What a switch with data has made so far, in `.jeex/switch/`: if it is killed, the next command clears that away."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jeex_cli.project import Project, private_folder, write_private

if TYPE_CHECKING:
    from jeex_cli.ops.carry_database import Facts

# reading: nothing is made in the target yet.
# filling: its data is all of this switch.
# foreign: it turned out to have data of its own.
# verified: filled, compared, and not yet the one that is remembered.
Stage = Literal["reading", "filling", "foreign", "verified"]
_STAGES: tuple[Stage, ...] = ("reading", "filling", "foreign", "verified")
_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Record:
    """`facts` are rows and checksum of each table of the source, once they are known; those of Redis stand beside it."""

    source: str
    target: str
    stage: Stage = "reading"
    facts: Facts = field(default_factory=dict)

    @property
    def has_made_data(self) -> bool:
        """Whether the target's data is this switch's alone."""
        return self.stage in ("filling", "verified")

    def write(self, project: Project) -> None:
        """Remember it, whatever happens next."""
        text = json.dumps({"version": 1, **asdict(self)}, indent=2)
        write_private(folder(project) / _FILE, text + "\n", durable=True)


def folder(project: Project) -> Path:
    """Where the copy is while it is under way; nobody else can look into it."""
    return project.folder / "switch"


def begin(project: Project, source: str, target: str) -> Record:
    """A new record, in an empty folder."""
    remove(project)
    private_folder(folder(project))
    record = Record(source, target)
    record.write(project)
    return record


def read(project: Project) -> Record | None:
    """The record of a switch that has not come to its end; None where there is none that could have made anything."""
    try:
        document = json.loads((folder(project) / _FILE).read_text(encoding="utf-8"))
        source, target, stage = document["source"], document["target"], document["stage"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is written whole, and before anything is made
    return Record(str(source), str(target), stage) if stage in _STAGES else None


def remove(project: Project) -> None:
    """It is over: the copy goes too."""
    if folder(project).exists():
        shutil.rmtree(folder(project))

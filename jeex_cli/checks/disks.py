"""The file systems that a project is on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, skipped, warn
from jeex_cli.errors import NotReady

_GROUP = "folders"
_MIB = 1024 * 1024
NEEDED_SPACE = 300 * _MIB  # bytes: a fresh data directory with its write-ahead log, and room to work
_FEW_BYTES = 1024 * _MIB
_NEEDED_INODES, _FEW_INODES = 1000, 5000
_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "vboxsf",
    "vmhgfs",
    "drvfs",
    "virtiofs",
)
_NETWORK_FUSE = ("fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.vmhgfs-fuse", "fuse.glusterfs", "fuse.gcsfuse", "fuse.nfs")


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that a folder is on: bytes and inodes that are free (`inodes` of 0 in all: it has no limit)."""

    path: Path
    free: int
    free_inodes: int
    inodes: int
    type: str
    mounted_at: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Disks:
    """The file systems of the project's folders, each once. `needed`: bytes that the stack takes there.

    `ignores_case`: whether names that differ in case are one name; None where there is nothing to try it with.
    """

    root: Path
    needed: int
    disks: tuple[Disk, ...]
    ignores_case: bool | None


@dataclass(frozen=True, slots=True)
class ProgramPlaces:
    """Where the servers' programs are, and those of them that stand on a file system from which none may start."""

    folders: tuple[Path, ...]
    noexec: tuple[tuple[Path, str], ...]


def disk_full(free: int, needed: int, folder: Path) -> NotReady | None:
    """The error where `free` bytes in `folder` are fewer than `needed`."""
    if free >= needed:
        return None
    return NotReady(
        f"{free // _MIB} MiB are free in {folder}; the stack needs {needed // _MIB} MiB",
        code="DISK_FULL",
        hint="free some space (df -h shows where it went), or use another folder: jeex --project DIR up",
    )


def disk_space(facts: Disks) -> Verdict:
    least = min(facts.disks, key=lambda one: one.free)
    if error := disk_full(least.free, facts.needed, least.path):
        return refused(error)
    if least.free < max(_FEW_BYTES, facts.needed):
        return warn(
            f"only {least.free // _MIB} MiB are free in {least.path}",
            fix="free some space: df -h shows where it went, jeex volume list what the stack has",
        )
    return ok(f"{least.free // _MIB:,} MiB are free in {least.path}")


def disk_inodes(facts: Disks) -> Verdict:
    limited = [one for one in facts.disks if one.inodes]
    if not limited:
        return ok("the file system has no limit of files")
    least = min(limited, key=lambda one: one.free_inodes)
    what = f"only {least.free_inodes} more files fit into the file system of {least.path}"
    how = f"delete small files: df -i '{least.path}', du --inodes -x '{least.mounted_at}' | sort -n | tail"
    if least.free_inodes < _NEEDED_INODES:
        return fail(what, fix=how, code="DISK_FULL")
    if least.free_inodes < _FEW_INODES:
        return warn(what, fix=how)
    return ok(f"{least.free_inodes:,} more files fit in")


def disk_network(facts: Disks) -> Verdict:
    # What the whole machine stands on is not another machine's, whatever it is called (virtiofs below a virtual machine).
    far = (*_NETWORK, *_NETWORK_FUSE)
    remote = [one for one in facts.disks if one.type in far and one.mounted_at != "/"]
    if not remote:
        return ok("the data is on a file system of this machine")
    one = remote[0]
    return warn(
        f"{one.path} is on a network or shared file system ({one.type}): PostgreSQL can lose data there",
        [f"{other.path}: {other.type}, mounted at {other.mounted_at}" for other in remote],
        fix="use a folder of this machine: jeex --project DIR up; or Docker's volumes: jeex up --runtime compose",
    )


def disk_case(facts: Disks) -> Verdict:
    if facts.ignores_case is None:
        return skipped("there is no .jeex yet")
    if facts.ignores_case:
        return warn(
            f"the file system of {facts.root} takes names that differ in case for the same",
            fix="use a folder on another file system: jeex --project DIR up",
        )
    return ok("names that differ in case are two names")


def disk_noexec(facts: ProgramPlaces) -> Verdict:
    if not facts.noexec:
        return ok("programs may start where the servers are")
    path, mounted_at = facts.noexec[0]
    return fail(
        f"{path} is on a file system from which no program may start (noexec, mounted at {mounted_at})",
        fix=f"mount -o remount,exec '{mounted_at}'; or install jeex elsewhere",
        code="NOEXEC",
    )


def _check(
    id: str, title: str, explanation: str, judge: object, *, up: bool = False, services: tuple[str, ...] = ()
) -> Check:
    return Check(id, _GROUP, title, explanation, Disks, judge, services, up)  # type: ignore[arg-type]


CHECKS = (
    _check(
        "disk-space",
        "there is room for data and logs",
        "A full disk stops PostgreSQL in the midst of its work. Fails below 300 MiB (20 MiB with Docker, whose "
        "volumes are elsewhere), warns below 1 GiB.",
        disk_space,
        services=("postgres", "redis"),
        up=True,
    ),
    _check(
        "disk-inodes",
        "the file system takes more files",
        "A file system can be full of small files while it has room left. Fails below 1,000 more files, warns below 5,000.",
        disk_inodes,
        services=("postgres", "redis"),
        up=True,
    ),
    _check(
        "disk-network",
        "the data is on a file system of this machine",
        "Network and shared file systems do not keep the promises that a database relies on: what was flushed may "
        "be lost, and locks may not hold.",
        disk_network,
    ),
    _check(
        "disk-case",
        "names that differ in case are two names",
        "On a file system that ignores case two tables' files, or two tenants' exports, can be one.",
        disk_case,
    ),
    Check(
        "disk-noexec",
        _GROUP,
        "programs may start where the servers are",
        "The servers come out of wheels, or from where JEEX_POSTGRES_BIN and its siblings say. A file system that "
        "is mounted with noexec lets none of them start.",
        ProgramPlaces,
        disk_noexec,
        ("postgres", "redis", "vault"),
        True,
        "embedded",
    ),
)

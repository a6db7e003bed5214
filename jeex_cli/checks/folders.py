"""The project's folders, and the file systems that they are on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, skipped, warn
from jeex_cli.checks.repairs import RemoveFiles, SetMode, SetOwner
from jeex_cli.errors import JeexError, NotReady

_GROUP = "folders"
_MIB = 1024 * 1024
NEEDED_SPACE = 300 * _MIB  # bytes: a fresh data directory with its write-ahead log, and room to work
_FEW_BYTES = 1024 * _MIB
_NEEDED_INODES, _FEW_INODES = 1000, 5000
_LOGS = 500 * _MIB
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
class Folders:
    """The folders below .jeex. `wrong` are those that are something else, `gone` those whose data was there.

    `foreign` are paths of another owner than `owner` (user and group id), as far down as the servers' own folders;
    `may_chown`: this user may give them away. `open` are paths that others can get into: their mode, and the right one.
    """

    root: Path
    needed: int
    wrong: tuple[tuple[Path, str], ...]
    gone: tuple[tuple[str, Path], ...]
    owner: tuple[int, int]
    foreign: tuple[tuple[Path, int], ...]
    may_chown: bool
    open: tuple[tuple[Path, int, int], ...]
    not_writable: JeexError | None
    disks: tuple[Disk, ...]
    ignores_case: bool | None
    logs: int
    largest_log: Path | None
    set_aside: tuple[Path, ...]


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


def folder_place(facts: Folders) -> Verdict:
    if facts.wrong:
        path, what = facts.wrong[0]
        return fail(
            f"{path} is {what}, where jeex keeps a folder",
            [f"{one}: {kind}" for one, kind in facts.wrong],
            fix=f"look what it is and move it away: mv '{path}' '{path}-old'; then jeex up",
            code="NOT_A_FOLDER",
        )
    if facts.gone:
        service, path = facts.gone[0]
        return fail(
            f"the data of {service} is gone: {path} was there and is not any more",
            fix="put it back from a backup; to begin anew: jeex down --delete-data, jeex up",
            code="DATA_GONE",
        )
    return ok("every folder is where it should be")


def folder_owner(facts: Folders) -> Verdict:
    if not facts.foreign:
        return ok("the servers' files belong to who runs them")
    path, owner = facts.foreign[0]
    tops = tuple(dict.fromkeys(_top(one, facts.root) for one, _ in facts.foreign))
    repair = SetOwner(tops, *facts.owner)
    return fail(
        f"{path} belongs to user {owner}; the stack runs as user {facts.owner[0]}",
        [f"{one}: user {uid}" for one, uid in facts.foreign],
        fix=f"{'' if facts.may_chown else 'sudo '}{repair.text}",
        repair=repair if facts.may_chown else None,
        code="DATA_OWNER",
    )


def _top(path: Path, root: Path) -> Path:
    """What is given back as a whole: a server's data, or what stands directly in .jeex."""
    parts = path.relative_to(root).parts
    return root.joinpath(*parts[: 3 if parts[:2] == (".jeex", "data") else 2])


def folder_mode(facts: Folders) -> Verdict:
    if not facts.open:
        return ok("what jeex keeps is closed to other users")
    path, mode, wanted = facts.open[0]
    repair = SetMode(tuple((one, right) for one, _, right in facts.open))
    return fail(
        f"other users of this machine can get into {path} (mode {mode:04o})",
        [f"{one}: mode {found:04o}, should be {right:04o}" for one, found, right in facts.open],
        fix=f"chmod {wanted:04o} '{path}'",
        repair=repair,
    )


def folder_writable(facts: Folders) -> Verdict:
    if facts.not_writable is not None:
        return refused(facts.not_writable)
    return ok("jeex can write where it has to")


def disk_space(facts: Folders) -> Verdict:
    least = min(facts.disks, key=lambda one: one.free)
    if error := disk_full(least.free, facts.needed, least.path):
        return refused(error)
    if least.free < max(_FEW_BYTES, facts.needed):
        return warn(
            f"only {least.free // _MIB} MiB are free in {least.path}",
            fix="free some space: df -h shows where it went, jeex volume list what the stack has",
        )
    return ok(f"{least.free // _MIB:,} MiB are free in {least.path}")


def disk_inodes(facts: Folders) -> Verdict:
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


def disk_network(facts: Folders) -> Verdict:
    remote = [one for one in facts.disks if one.type in _NETWORK or one.type in _NETWORK_FUSE]
    if not remote:
        return ok("the data is on a file system of this machine")
    one = remote[0]
    return warn(
        f"{one.path} is on a network or shared file system ({one.type}): PostgreSQL can lose data there",
        [f"{other.path}: {other.type}, mounted at {other.mounted_at}" for other in remote],
        fix="use a folder of this machine: jeex --project DIR up; or Docker's volumes: jeex up --runtime compose",
    )


def disk_case(facts: Folders) -> Verdict:
    if facts.ignores_case is None:
        return skipped("there is no .jeex yet")
    if facts.ignores_case:
        return warn(
            f"the file system of {facts.root} takes names that differ in case for the same",
            fix="use a folder on another file system: jeex --project DIR up",
        )
    return ok("names that differ in case are two names")


def log_size(facts: Folders) -> Verdict:
    if facts.logs <= _LOGS or facts.largest_log is None:
        return ok(f"the logs take {facts.logs // _MIB} MiB")
    return warn(
        f"the logs take {facts.logs // _MIB} MiB, most of it {facts.largest_log}",
        fix="jeex down; jeex up: a service that starts begins its log anew",
        repair=RemoveFiles(facts.set_aside) if facts.set_aside else None,
    )


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
    return Check(id, _GROUP, title, explanation, Folders, judge, services, up)  # type: ignore[arg-type]


CHECKS = (
    _check(
        "folder-place",
        "every folder is where it should be",
        "jeex keeps data, logs and records in folders below .jeex. Looks whether they are folders, and whether "
        "data that was there is still there.",
        folder_place,
        services=("postgres", "redis"),
    ),
    _check(
        "folder-owner",
        "the servers' files belong to who runs them",
        "A command that was run with sudo, or files that were copied, leave files that the servers cannot use. "
        "Looks at .env, at .jeex and at the upper levels of each server's data.",
        folder_owner,
        services=("postgres", "redis", "vault"),
        up=True,
    ),
    _check(
        "folder-mode",
        "other users cannot look into the data",
        ".jeex is for its owner alone (0700), and so is every file with a secret in it (0600). PostgreSQL does "
        "not start where others can get into its data.",
        folder_mode,
        services=("postgres",),
    ),
    _check(
        "folder-writable",
        "jeex can write where it has to",
        "Looks at the project's folder and at those below .jeex: permission, and whether they are mounted read-only.",
        folder_writable,
        up=True,
    ),
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
    _check(
        "log-size",
        "the logs are not large",
        "Each log is begun anew when its service starts and it has grown past 20 MiB; the one before is kept. "
        "Warns above 500 MiB in all.",
        log_size,
    ),
)

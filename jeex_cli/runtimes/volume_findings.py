"""What was seen in a volume, and what that means for the service that is to work with it. Pure: text in, errors out."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from jeex_cli.errors import DataError
from jeex_cli.stack import Service

_UNCHANGED = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class User:
    """Whom the service runs as. `groups` are all of the user's, the first its own."""

    id: int
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder: its owner's and its group's ids, and its mode with its kind, as stat(2) has it."""

    owner: int
    group: int
    mode: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def rights(self, user: User) -> int:
        """What `user` may: 4 read, 2 write, 1 enter, added up."""
        if user.id == 0:
            return 7
        if self.owner == user.id:
            return self.mode >> 6 & 7
        return (self.mode >> 3 if self.group in user.groups else self.mode) & 7

    def usable(self, user: User) -> bool:
        """Whether `user` may read it; where it is a folder, write and enter it too."""
        wanted = 7 if self.is_folder else 4
        return self.rights(user) & wanted == wanted


@dataclass(frozen=True, slots=True)
class Inside:
    """A volume's upper two levels by path ("." is the volume), and PostgreSQL's data directories with what made each.

    `server` is the major version of the image's PostgreSQL, None where it has none; `filled` are folders with something in.
    """

    user: User
    server: int | None = None
    entries: Mapping[str, Entry] = field(default_factory=dict)
    clusters: Mapping[str, str] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Nothing is in it: Docker will make it the service's own."""
        return set(self.entries) <= {".", "lost+found"}


def read(said: str) -> Inside | None:
    """What the shell has printed, see compose_look.py; None where it did not come to its end.

    Lines that are not of it are left out: a file's name may hold anything.
    """
    user, server = None, None
    entries: dict[str, Entry] = {}
    clusters: dict[str, str] = {}
    filled: set[str] = set()
    lines = said.splitlines()
    for line in lines:
        if match := re.fullmatch(r"entry (\d+) (\d+) ([0-9a-f]+) (?:\./)?(.+)", line):
            entries[match[4]] = Entry(int(match[1]), int(match[2]), int(match[3], 16))
        elif match := re.fullmatch(r"version (\d+(?:\.\d+)?) (?:(.+)/)?PG_VERSION", line):
            clusters[match[2] or "."] = match[1]
        elif match := re.fullmatch(r"user (\d+) (\d+(?: \d+)*)", line):
            user = User(int(match[1]), tuple(int(one) for one in match[2].split()))
        elif match := re.match(r"server postgres \(PostgreSQL\) (\d+)", line):
            server = int(match[1])
        elif line.startswith("filled "):
            filled.add(line.removeprefix("filled "))
    if user is None or lines[-1] != "end":
        return None
    # Each database within a data directory has such a file, too.
    outermost = {path: text for path, text in clusters.items() if not any(_is_above(one, path) for one in clusters)}
    return Inside(user, server, entries, outermost, frozenset(filled))


def postgres(volume: str, service: Service, inside: Inside, data: str) -> DataError | None:
    """What is wrong with PostgreSQL's volume, whose data directory is to be `data`."""
    if inside.empty or not data:
        return None
    here = f"PostgreSQL {inside.server}" if inside.server else f"the image {service.image}"
    made_by = inside.clusters.get(data)
    if made_by is not None and inside.server is not None and made_by.split(".")[0] != str(inside.server):
        return DataError(
            f"PostgreSQL {made_by} made {data} in the volume {volume}; {here} cannot read it",
            detail=f"The folder of a version is named after it. {_UNCHANGED}",
            hint=_moved(volume, service, data, made_by),
        )
    if made_by is None and data in inside.filled:
        return DataError(
            f"{data} in the volume {volume} holds files but no PostgreSQL data (PG_VERSION is missing)",
            code="DATA_FOREIGN",
            detail=f"A first start that was cut short leaves this, too. {_UNCHANGED}",
            hint=f"look what it is, and move it away: {_run(volume, service, 'sh', interactive=True)}",
        )
    if inside.clusters and data not in inside.entries:
        return _other_version(volume, service, inside, data, here)
    return _postgres_owner(volume, service, inside, data)


def plain(volume: str, service: Service, inside: Inside) -> DataError | None:
    """What is wrong with the volume of any other service: its user must be able to read and to write."""
    if inside.empty:
        return None
    closed = [path for path, one in inside.entries.items() if path != "lost+found" and not one.usable(inside.user)]
    return _owner(volume, service, inside, min(closed, key=len)) if closed else None


def password(volume: str) -> DataError:
    """PostgreSQL runs, and does not accept the password of its superuser."""
    return DataError(
        f"PostgreSQL does not accept JEEX_POSTGRES_PASSWORD: the volume {volume} was made with another password",
        code="PASSWORD_MISMATCH",
        detail=f"A database keeps the passwords that it was made with, and Vault its key. {_UNCHANGED}\n"
        "Where the old .env is gone: jeex down --delete-data deletes what is there, and jeex up begins anew.",
        hint="put the old passwords back into .env; jeex config show tells where each comes from",
    )


def _other_version(volume: str, service: Service, inside: Inside, data: str, here: str) -> DataError:
    path, version = max(inside.clusters.items(), key=lambda one: float(one[1]))
    found = ", ".join(f"PostgreSQL {made} {_place(where)}" for where, made in sorted(inside.clusters.items()))
    folders = [f"/v/{one}" for one in [*reversed(PurePosixPath(data).parents), data][1:]]
    begin = _run(volume, service, "install", "-d -o postgres -g postgres -m 0700", *folders)
    detail = (
        f"The volume holds {found}. {_UNCHANGED}\n"
        f"To begin empty and keep that beside it, make the folder, then jeex up:\n  {begin}\n"
        "To take the data along, dump it with the old version (pg_dumpall) and load that into the new one (psql)."
    )
    folder, _, rest = path.partition("/")
    hint = f"JEEX_POSTGRES_VERSION={folder} jeex up" if rest == "docker" else _moved(volume, service, path, version)
    return DataError(
        f"the volume {volume} holds data of PostgreSQL {version}; {here} would begin an empty database in {data}",
        detail=detail,
        hint=hint,
    )


def _place(path: str) -> str:
    return "at its top" if path == "." else f"in {path}"


def _moved(volume: str, service: Service, path: str, version: str) -> str:
    """How a data directory comes to where its own version looks for it."""
    beside = "-mindepth 1 -maxdepth 1 ! -name" if path == "." else ""
    what = f"find . {beside} {version} -exec mv {{}} {version}/docker \\;" if beside else f"mv -T {path} {version}/docker"
    make = f"install -d -o postgres -g postgres -m 0700 {version} {version}/docker"
    return f"""{_run(volume, service, "sh", f"-ec 'cd /v; {make}; {what}'")} && JEEX_POSTGRES_VERSION={version} jeex up"""


def _postgres_owner(volume: str, service: Service, inside: Inside, data: str) -> DataError | None:
    """PostgreSQL's data must be its own and closed to others; where there is none yet, it must be able to make a folder."""
    user, entries = inside.user, inside.entries
    there = [one for one in (data, *map(str, PurePosixPath(data).parents)) if one in entries]
    for above in reversed(there[1:]):
        if not entries[above].rights(user) & 1:
            return _owner(volume, service, inside, above)
    if not there:
        return None
    one = entries[there[0]]
    if there[0] != data:
        return None if one.usable(user) else _owner(volume, service, inside, there[0])
    if one.owner != user.id:
        return _owner(volume, service, inside, data)
    if not one.usable(user) or one.mode & 0o027:
        return _owner(volume, service, inside, data, fix=_run(volume, service, "chmod", "0700", f"/v/{data}"))
    return None


def _owner(volume: str, service: Service, inside: Inside, path: str, fix: str = "") -> DataError:
    one, user = inside.entries[path], inside.user
    where = f"the volume {volume}" if path == "." else f"{path} in the volume {volume}"
    below = "/v" if path == "." else f"/v/{path}"
    return DataError(
        f"{service.title} cannot use {where}: it is of user {one.owner}, mode {one.mode & 0o7777:04o}; "
        f"{service.title} runs as user {user.id}",
        code="DATA_OWNER",
        detail=f"An image of another make, or files that root has copied in, leave this. {_UNCHANGED}",
        hint=fix or _run(volume, service, "chown", f"-R {user.id}:{user.groups[0]}", below),
    )


def _run(volume: str, service: Service, program: str, *arguments: str, interactive: bool = False) -> str:
    """The command that runs `program` of the service's image as root, with the volume at /v."""
    options = f"{'-it ' if interactive else ''}--user 0 --entrypoint {program} -v {volume}:/v"
    return " ".join(["docker run --rm", options, service.image, *arguments])


def _is_above(one: str, path: str) -> bool:
    return one != path and (one == "." or path.startswith(f"{one}/"))

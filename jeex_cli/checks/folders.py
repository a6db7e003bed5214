"""The project's folders, and the files in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, unknown, warn
from jeex_cli.checks.repairs import RemoveFiles, SetMode, SetOwner
from jeex_cli.errors import JeexError

_GROUP = "folders"
_MIB = 1024 * 1024
_LOGS = 500 * _MIB  # bytes


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders below .jeex. `closed` are those that this user cannot look into: what is in them is not known.

    `wrong` are those that are something else, `gone` those whose data was there (None where nobody could look). `logs` is
    the size of all logs in bytes, None as before.
    `foreign` are paths of another owner than `owner` (user and group id), as far down as the servers' own folders;
    `may_chown`: this user may give them away. `open` are paths that others can get into: their mode, and the right one.
    """

    root: Path
    closed: tuple[Path, ...]
    wrong: tuple[tuple[Path, str], ...]
    gone: tuple[tuple[str, Path], ...] | None
    owner: tuple[int, int]
    foreign: tuple[tuple[Path, int], ...]
    may_chown: bool
    open: tuple[tuple[Path, int, int], ...]
    not_writable: JeexError | None
    logs: int | None
    largest_log: Path | None
    set_aside: tuple[Path, ...]


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
    if facts.closed or facts.gone is None:
        return _not_seen(facts)
    return ok("every folder is where it should be")


def _not_seen(facts: Folders) -> Verdict:
    what = f"this user cannot look into {facts.closed[0]}" if facts.closed else "this user cannot read what says how it runs"
    return unknown(what, fix="jeex doctor --only folder-owner,folder-writable says why")


def folder_owner(facts: Folders) -> Verdict:
    if not facts.foreign:
        return _not_seen(facts) if facts.closed else ok("the servers' files belong to who runs them")
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
        return _not_seen(facts) if facts.closed else ok("what jeex keeps is closed to other users")
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


def log_size(facts: Folders) -> Verdict:
    if facts.logs is None:
        return _not_seen(facts)
    if facts.logs <= _LOGS or facts.largest_log is None:
        return ok(f"the logs take {facts.logs // _MIB} MiB")
    return warn(
        f"the logs take {facts.logs // _MIB} MiB, most of it {facts.largest_log}",
        fix="jeex down; jeex up: a service that starts begins its log anew",
        repair=RemoveFiles(facts.set_aside) if facts.set_aside else None,
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
        "Looks at .jeex and the folders in it, or at the project's folder where there is none yet: permission, and "
        "whether they are mounted read-only.",
        folder_writable,
        up=True,
    ),
    _check(
        "log-size",
        "the logs are not large",
        "Each log is begun anew when its service starts and it has grown past 20 MiB; the one before is kept. "
        "Warns above 500 MiB in all.",
        log_size,
    ),
)

"""Redis's part of a snapshot: what is in it, in numbers that can be compared, and putting it in the place of what there
is.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from jeex_cli.errors import JeexError
from jeex_cli.ops.carry_redis import Server, commands, connected, keys_file, load, note_all
from jeex_cli.ops.carry_redis_keys import Sum
from jeex_cli.ops.snapshot_manifest import Keys, invalid

COMMANDS = "redis.commands"
# What makes keys, and nothing else: a file from elsewhere is not to configure the server or to run a script in it.
_MAKES = frozenset(
    (
        *(b"SELECT", b"UNLINK", b"SET", b"APPEND", b"RPUSH", b"SADD", b"ZADD", b"HSET", b"XADD", b"XSETID", b"XCLAIM"),
        *(b"PEXPIREAT", b"HPEXPIREAT"),
    )
)
_GROUPS = frozenset((b"CREATE", b"DESTROY", b"CREATECONSUMER"))


def saved(folder: Path) -> Keys:
    """What `carry_redis.save` has written there, whose notes are deleted: they are not part of a snapshot."""
    with keys_file(folder) as facts:
        found = _keys(facts, "saved")
    (folder / "redis.facts").unlink()
    return found


def now(server: Server, folder: Path) -> Keys:
    """What is in it; `folder` is for notes. Raises JeexError."""
    with keys_file(folder) as facts, connected(server) as client:
        note_all(client, facts, "found", lambda _: None)
        return _keys(facts, "found")


def replace(server: Server, folder: Path | None) -> None:
    """Put the keys of that snapshot in the place of all that there are; with None there is none afterwards.

    Once begun it has to be done to its end, or again. Raises JeexError.
    """
    with connected(server) as client:
        client.ask("FLUSHALL", "SYNC")
    if folder is not None:
        load(server, folder)


def compare(expected: Keys, found: Keys) -> None:
    """Raise JeexError unless every key is there that does not end by itself, as it was. The others may have ended."""
    if (expected.lasting, expected.checksum) != (found.lasting, found.checksum) or found.keys > expected.keys:
        raise JeexError(
            f"Redis has {found.keys} keys after the restore ({found.lasting} without an end), and the snapshot "
            f"{expected.keys} ({expected.lasting})" + (": other values" if expected.lasting == found.lasting else ""),
            code="RESTORE_MISMATCH",
            hint="end whatever works with Redis, then run the same command again",
        )


def check(path: Path) -> None:
    """Raise DataError where a file does anything but make keys."""
    try:
        with path.open("rb") as file:
            for words in commands(file, most=path.stat().st_size):
                name = words[0].upper() if words else b""
                makes = name in _MAKES or (name == b"XGROUP" and len(words) > 1 and words[1].upper() in _GROUPS)
                if not makes:
                    raise invalid(str(path), f"it has the command {name.decode(errors='backslashreplace')[:40]!r}")
    except (ValueError, OSError) as error:
        raise invalid(str(path), "its commands cannot be read") from error


def version(server: Server) -> str:
    """`valkey 9.1.0`. Raises JeexError."""
    with connected(server) as client:
        lines = client.ask("INFO", "server").decode().splitlines()
    about = dict(line.split(":", 1) for line in lines if ":" in line)
    return f"{about.get('server_name', 'redis')} {about.get('valkey_version') or about.get('redis_version', '')}".strip()


def _keys(facts: sqlite3.Connection, table: str) -> Keys:
    """The numbers of what `note_all` has noted."""
    types = dict(facts.execute(f"SELECT kind, count(*) FROM {table} GROUP BY kind ORDER BY kind").fetchall())  # noqa: S608
    total, lasting = Sum(), 0
    rows = facts.execute(f"SELECT db, key, kind, length, checksum FROM {table} WHERE expires = -1")  # noqa: S608
    for db, key, kind, length, checksum in rows:
        total.add(db, key, kind, *(() if kind == "hash" else (length, checksum)))  # its fields may end by themselves
        lasting += 1
    return Keys(sum(types.values()), types, lasting, str(total))

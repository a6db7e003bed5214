"""Redis's part of carrying data: every key as the commands that make it, and what both sides are compared by.

Not with DUMP and RESTORE: Redis and Valkey write formats that the other does not read. A key is read in pieces, and so is
the file: how much memory this takes does not depend on how much there is.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from jeex_cli.errors import JeexError
from jeex_cli.ops.carry_redis_keys import Ask, Changing, Emit, Key, Word, read_key, read_small_strings

Command = Sequence[Word]

_BATCH = 256  # commands that are sent before their answers are read
_BATCH_BYTES = 1024 * 1024
_SCAN = 500  # keys of one look
_HEAD = 32  # bytes of a line that says how much follows
_ATTEMPTS = 8
_KEYS = "db INTEGER, key BLOB, kind TEXT, length INTEGER, checksum TEXT, expires INTEGER, PRIMARY KEY (db, key)"


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis as this machine reaches it."""

    port: int
    password: str = field(repr=False)
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Counted:
    """What was copied."""

    keys: int


def save(server: Server, folder: Path) -> Counted:
    """Write `folder`/redis.commands and the facts of every key, mode 0600. Raises JeexError."""
    with keys_file(folder) as facts, _private(folder / "redis.commands") as file, connected(server) as client:

        def emit(command: Command) -> None:
            _write(file, command)

        note_all(client, facts, "saved", emit)
        return Counted(facts.execute("SELECT count(*) FROM saved").fetchone()[0])


def load(server: Server, folder: Path) -> None:
    """Make every key that `save` wrote, in an empty Redis. Raises JeexError."""
    with (folder / "redis.commands").open("rb") as file, connected(server) as client:
        batch: list[Command] = []
        size = 0
        for command in commands(file):
            batch.append(command)
            size += sum(len(word) for word in command)
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                client.many(batch)
                batch, size = [], 0
        client.many(batch)


def is_fresh(server: Server) -> bool:
    """Whether there is no key in it."""
    with connected(server) as client:
        return not _databases(client.ask)


def compare(server: Server, folder: Path, *, most: int = 50) -> list[str]:
    """What is not as `save` found it, in words; `most` of it. A key whose time has come meanwhile is not missed."""
    with keys_file(folder) as facts, connected(server) as client:
        note_all(client, facts, "found", lambda _: None)
        now = int(time.time() * 1000)
        rows = facts.execute(
            """
            SELECT db, key, s.kind, f.kind, s.length, f.length FROM saved s LEFT JOIN found f USING (db, key)
             WHERE (f.kind IS NULL AND NOT (s.expires BETWEEN 0 AND ?))
                OR (f.kind IS NOT NULL
                    AND (s.kind, s.length, s.checksum, s.expires) <> (f.kind, f.length, f.checksum, f.expires))
             UNION ALL
            SELECT db, key, NULL, f.kind, NULL, f.length FROM found f LEFT JOIN saved s USING (db, key) WHERE s.kind IS NULL
             LIMIT ?
            """,
            (now, most),
        )
        return [_difference(row) for row in rows]


def _difference(row: tuple[int, bytes, str | None, str | None, int | None, int | None]) -> str:
    db, key, was, now, length, found = row
    name = f"Redis: key {key.decode(errors='backslashreplace')!r}" + (f" of database {db}" if db else "")
    if was is None:
        return f"{name} was not there before"
    if now is None:
        return f"{name} is missing"
    if was != now:
        return f"{name} was a {was} and is a {now}"
    if length != found:
        return f"{name} had {length} elements and has {found}"
    return f"{name} has other values, or another end, than before"


# ---------------------------------------------------------------------- keys


def _databases(ask: Ask) -> list[int]:
    """The numbers of the databases with keys in them."""
    lines = ask("INFO", "keyspace").decode().splitlines()
    return sorted(int(line.split(":", 1)[0][2:]) for line in lines if line.startswith("db"))


def note_all(client: Client, facts: sqlite3.Connection, table: str, emit: Emit) -> None:
    """Write down what every key is, with the commands that make it emitted."""
    facts.execute(f"DROP TABLE IF EXISTS {table}")
    facts.execute(f"CREATE TABLE {table} ({_KEYS}) WITHOUT ROWID")
    known = f"SELECT 1 FROM {table} WHERE db = ? AND key = ?"  # noqa: S608 - one of two words
    note = f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
    for db in _databases(client.ask):
        client.ask("SELECT", db)
        emit(("SELECT", db))
        for names in _scan(client.ask):
            # A scan may meet a key twice.
            new = [one for one in dict.fromkeys(names) if not facts.execute(known, (db, one)).fetchone()]
            small = read_small_strings(client.many, new, emit)
            for name in new:
                key = small.get(name) or _read(client.ask, name, emit)
                if key is not None:
                    facts.execute(note, (db, key.name, key.kind, key.length, key.checksum, key.expires))
    facts.commit()


def _scan(ask: Ask) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        cursor, names = ask("SCAN", cursor, "COUNT", _SCAN)
        yield names
        if cursor == b"0":
            return


def _read(ask: Ask, key: bytes, emit: Emit) -> Key | None:
    """What a key is, None where its time came before it was read. Its commands may be emitted more than once: each first
    takes away what there is."""
    for attempt in range(_ATTEMPTS):
        try:
            return read_key(ask, key, emit)
        except Changing:
            time.sleep(0.02 * attempt)
    raise JeexError(
        f"the Redis key {key.decode(errors='backslashreplace')!r} changes while it is copied",
        code="REDIS_IN_USE",
        hint="end what writes to it, then run the same command again",
    )


# ---------------------------------------------------------------------- files


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


@contextmanager
def keys_file(folder: Path) -> Iterator[sqlite3.Connection]:
    """What is known of every key: a table, for there may be more than fits into memory."""
    path = folder / "redis.facts"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(path)) as facts:
        facts.execute("PRAGMA journal_mode = OFF")
        facts.execute("PRAGMA synchronous = OFF")
        yield facts


def _write(file: BinaryIO, command: Command) -> None:
    """One command: how many words, then the length of each and the word, as Redis itself writes them."""
    file.write(b"*%d\r\n" % len(command))
    for one in command:
        word = one if isinstance(one, bytes) else str(one).encode()
        file.write(b"$%d\r\n%b\r\n" % (len(word), word))


def commands(file: BinaryIO, *, most: int | None = None) -> Iterator[list[bytes]]:
    """What `save` has written. Raises ValueError for what it has not; no word can be longer than `most` bytes."""
    while head := file.readline(_HEAD):
        words = []
        for _ in range(_number(head, b"*", most)):
            length = _number(file.readline(_HEAD), b"$", most)
            word = file.read(length)
            if len(word) != length or file.read(2) != b"\r\n":
                raise ValueError("it ends early")
            words.append(word)
        yield words


def _number(line: bytes, kind: bytes, most: int | None) -> int:
    number = int(line[1:]) if line[:1] == kind and line[1:].strip().isdigit() else -1
    if number < 0 or (most is not None and number > most):
        raise ValueError(f"{line[:20]!r} is no {kind!r}")
    return number


# ---------------------------------------------------------------------- the server


@dataclass(frozen=True, slots=True)
class Client:
    """A connection that answers in bytes."""

    connection: Any  # the library's types are incomplete

    def ask(self, *words: Word) -> Any:
        """The answer to one command."""
        self.connection.send_command(*words, check_health=False)
        return self.connection.read_response(disable_decoding=True)

    def many(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to several, sent at once."""
        if not commands:
            return []
        self.connection.send_packed_command(self.connection.pack_commands(commands), check_health=False)
        return [self.connection.read_response(disable_decoding=True) for _ in commands]


@contextmanager
def connected(server: Server) -> Iterator[Client]:
    """The library's errors are translated."""
    from redis import connection as library
    from redis.exceptions import RedisError

    made: Any = library.Connection
    connection = made(
        host=server.host, port=server.port, password=server.password, socket_timeout=30, socket_connect_timeout=5, protocol=2
    )
    try:
        connection.connect()
        yield Client(connection)
    except (RedisError, OSError) as error:
        raise JeexError(
            "Redis could not be copied",
            code="CARRY_FAILED",
            detail=f"{type(error).__name__}: {error}",
            hint="jeex logs redis",
        ) from error
    finally:
        connection.disconnect()

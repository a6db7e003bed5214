"""One key of Redis: read in pieces, as the commands that make it again and as a checksum of what it holds.

What is not carried of a stream's consumer groups: when a consumer was last seen, and deliveries of entries that have been
deleted from the stream (nobody can read those any more).
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jeex_cli.errors import JeexError

Word = bytes | str | int
Emit = Callable[[Sequence[Word]], None]
Ask = Callable[..., Any]
Many = Callable[[Sequence[Sequence[Word]]], list[Any]]

_PIECE = 200  # elements that are read at once
_BYTES = 1024 * 1024  # of a string
_SMALL = 4096


class Changing(Exception):
    """A key was another one at the end of reading than at its beginning."""


@dataclass(frozen=True, slots=True)
class Key:
    """`length` is in elements (bytes of a string), `expires` in milliseconds since the epoch, -1 where it does not."""

    name: bytes
    kind: str
    length: int
    checksum: str
    expires: int


class Sum:
    """A checksum of elements that does not ask for an order; who minds the order adds the position to each."""

    def __init__(self) -> None:
        self._total = 0

    def add(self, *parts: Word) -> None:
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:
            word = part if isinstance(part, bytes) else str(part).encode()
            digest.update(b"%d:" % len(word))
            digest.update(word)
        self._total = (self._total + int.from_bytes(digest.digest())) % 2**128

    def __str__(self) -> str:
        return f"{self._total:032x}"


def read_key(ask: Ask, name: bytes, emit: Emit) -> Key | None:
    """What `name` is, with the commands that make it emitted; None where there is no such key (any more).

    Raises Changing (then what was emitted is to be emitted anew), JeexError for a type that is not known.
    """
    from redis.exceptions import ResponseError

    emit(("UNLINK", name))  # an earlier attempt may have come halfway
    kind = ask("TYPE", name).decode()
    if kind == "none":
        return None
    reader = _READERS.get(kind)
    if reader is None:
        raise JeexError(
            f"the Redis key {name.decode(errors='backslashreplace')!r} is of the type {kind}, which jeex cannot carry",
            code="REDIS_TYPE",
            hint="delete the key, if it can be made anew, then run the same command again",
        )
    expires = ask("PEXPIRETIME", name)
    total = Sum()
    try:
        length = reader(ask, name, emit, total)
    except ResponseError:
        if ask("TYPE", name).decode() == kind:
            raise
        raise Changing from None  # its time came
    if expires != -1:
        emit(("PEXPIREAT", name, expires))
    if ask("TYPE", name).decode() != kind or ask("PEXPIRETIME", name) != expires:
        raise Changing
    return Key(name, kind, length, str(total), expires)


def read_small_strings(many: Many, names: Sequence[bytes], emit: Emit) -> dict[bytes, Key]:
    """Those of `names` that are short strings, read together: most keys are, and to ask for each alone takes its time."""
    kinds = many([("TYPE", name) for name in names])
    strings = [name for name, kind in zip(names, kinds, strict=True) if kind == b"string"]
    questions: list[Sequence[Word]] = []
    for name in strings:
        questions += [("GETRANGE", name, 0, _SMALL - 1), ("STRLEN", name), ("PEXPIRETIME", name)]
    answers = many(questions)
    found = {}
    for name, (value, length, expires) in zip(strings, _pieces(answers, 3), strict=True):
        if len(value) != length or expires == -2:
            continue  # longer, or gone
        total = Sum()
        if value:
            total.add(0, value)
        emit(("SET", name, value))
        if expires != -1:
            emit(("PEXPIREAT", name, expires))
        found[name] = Key(name, "string", length, str(total), expires)
    return found


def _string(ask: Ask, name: bytes, emit: Emit, total: Sum) -> int:
    emit(("SET", name, b""))
    length = ask("STRLEN", name)
    for at in range(0, length, _BYTES):
        piece = ask("GETRANGE", name, at, at + _BYTES - 1)
        emit(("APPEND", name, piece))
        total.add(at, piece)
    return _same(ask("STRLEN", name), length)


def _list(ask: Ask, name: bytes, emit: Emit, total: Sum) -> int:
    # As long as it is now: one could run after the end of a list that grows.
    length, at = ask("LLEN", name), 0
    while at < length and (piece := ask("LRANGE", name, at, at + _PIECE - 1)):
        emit(("RPUSH", name, *piece))
        for one in piece:
            total.add(at, one)
            at += 1
    return _same(ask("LLEN", name), at)


def _set(ask: Ask, name: bytes, emit: Emit, total: Sum) -> int:
    length, count, cursor = ask("SCARD", name), 0, b"0"
    while count <= 2 * length + _PIECE:
        cursor, found = ask("SSCAN", name, cursor, "COUNT", _PIECE)
        for piece in _pieces(found, _PIECE):
            emit(("SADD", name, *piece))
        for one in found:
            total.add(one)
        count += len(found)
        if cursor == b"0":
            return _same(ask("SCARD", name), count)
    raise Changing  # it grows while it is read


def _sorted_set(ask: Ask, name: bytes, emit: Emit, total: Sum) -> int:
    length, at = ask("ZCARD", name), 0
    while at < length and (found := ask("ZRANGE", name, at, at + _PIECE - 1, "WITHSCORES")):
        pairs = _pieces(found, 2)
        emit(("ZADD", name, *itertools.chain.from_iterable((score, member) for member, score in pairs)))
        for member, score in pairs:
            total.add(member, struct.pack(">d", float(score)))  # servers write the same number in more than one way
        at += len(pairs)
    return _same(ask("ZCARD", name), at)


def _hash(ask: Ask, name: bytes, emit: Emit, total: Sum) -> int:
    length, count, cursor, ending = ask("HLEN", name), 0, b"0", False
    while count <= 2 * length + _PIECE:
        cursor, found = ask("HSCAN", name, cursor, "COUNT", _PIECE)
        for piece in _pieces(_pieces(found, 2), _PIECE):
            emit(("HSET", name, *itertools.chain.from_iterable(piece)))
            ends = _ends(ask, name, [one for one, _ in piece])
            for (one, value), end in zip(piece, ends, strict=True):
                total.add(one, value, end)
                if end > 0:
                    ending = True
                    emit(("HPEXPIREAT", name, end, "FIELDS", 1, one))
        count += len(found) // 2
        if cursor == b"0":
            # Fields whose time has come may be counted for a while.
            return count if ending else _same(ask("HLEN", name), count)
    raise Changing


def _ends(ask: Ask, name: bytes, fields: Sequence[bytes]) -> list[int]:
    """When each field ends, -1 where it does not; servers that know no such thing say so."""
    from redis.exceptions import ResponseError

    try:
        found = ask("HPEXPIRETIME", name, "FIELDS", len(fields), *fields)
    except ResponseError as error:
        if "unknown command" not in str(error).lower():
            raise
        return [-1] * len(fields)
    if not found or -2 in found:
        raise Changing  # a field's time came
    return list(found)


def _stream(ask: Ask, name: bytes, emit: Emit, total: Sum) -> int:
    # Made without an entry: an empty stream is one too.
    emit(("XGROUP", "CREATE", name, "jeex-carry", "0", "MKSTREAM"))
    emit(("XGROUP", "DESTROY", name, "jeex-carry"))
    about = _pairs(ask("XINFO", "STREAM", name))
    count, after = 0, b"-"
    while count < about[b"length"] and (found := ask("XRANGE", name, after, "+", "COUNT", _PIECE)):
        for number, fields in found:
            emit(("XADD", name, number, *fields))
            total.add(number, *fields)
        count += len(found)
        after = b"(" + found[-1][0]
    counted, deleted = about[b"entries-added"], about[b"max-deleted-entry-id"]
    last = (about[b"last-generated-id"], "ENTRIESADDED", counted, "MAXDELETEDID", deleted)
    emit(("XSETID", name, *last))
    total.add("last", *last)
    for group in map(_pairs, ask("XINFO", "GROUPS", name)):
        _group(ask, name, group, emit, total)
    return _same(ask("XLEN", name), count)


def _group(ask: Ask, name: bytes, about: dict[bytes, Any], emit: Emit, total: Sum) -> None:
    group, last, read = about[b"name"], about[b"last-delivered-id"], about[b"entries-read"]
    emit(("XGROUP", "CREATE", name, group, last, *(() if read is None else ("ENTRIESREAD", read))))
    total.add("group", group, last, "" if read is None else read)
    for consumer in map(_pairs, ask("XINFO", "CONSUMERS", name, group)):
        emit(("XGROUP", "CREATECONSUMER", name, group, consumer[b"name"]))
        total.add("consumer", group, consumer[b"name"])
    after = b"-"
    while found := ask("XPENDING", name, group, after, "+", _PIECE):
        seconds, micros = ask("TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        for number, consumer, idle, deliveries in found:
            if ask("XRANGE", name, number, number):
                claim = ("XCLAIM", name, group, consumer, 0, number)
                emit((*claim, "TIME", now - idle, "RETRYCOUNT", deliveries, "FORCE", "JUSTID"))
                total.add("pending", group, number, consumer, deliveries)
        after = b"(" + found[-1][0]


_READERS: dict[str, Callable[[Ask, bytes, Emit, Sum], int]] = {
    "string": _string,
    "list": _list,
    "set": _set,
    "zset": _sorted_set,
    "hash": _hash,
    "stream": _stream,
}


def _same(length: int, read: int) -> int:
    """`length`, where as much was read. A scan may meet an element twice; then it is done again."""
    if length != read:
        raise Changing
    return length


def _pieces(found: Sequence[Any], size: int) -> list[Any]:
    return [found[at : at + size] for at in range(0, len(found), size)]


def _pairs(found: Sequence[Any]) -> dict[bytes, Any]:
    return dict(_pieces(found, 2))

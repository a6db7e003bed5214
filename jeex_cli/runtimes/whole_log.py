"""A log that goes on in a second file, read as one: `x.log.1` is what came before `x.log`, up to the very byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from jeex_cli.errors import NotReady
from jeex_cli.log_entry import starts

_CHUNK = 65_536  # bytes that are read at once
_SEARCHED = 4 * 1024 * 1024  # bytes that are searched at once


def before(path: Path) -> Path:
    """What that log was before it was begun anew."""
    return path.with_name(f"{path.name}.1")


class WholeLog:
    """The two files as they are when this is opened; either may be missing. Raises NotReady where one may not be read."""

    def __init__(self, path: Path) -> None:
        self._files = [_opened(before(path)), _opened(path)]
        self._sizes = [os.fstat(one).st_size for one in self._files]
        self.size = sum(self._sizes)
        self.begun_anew = self._sizes[0] > 0  # its first line may be the end of one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for one in self._files:
            os.close(one)

    def read(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes from there; fewer at the end alone."""
        length = min(length, self.size - offset)
        first = os.pread(self._files[0], length, offset) if offset < self._sizes[0] else b""
        return first + os.pread(self._files[1], length - len(first), max(0, offset - self._sizes[0]))

    def lines(self) -> Iterator[str]:
        """Every line that is not empty, oldest first."""
        offset, rest = 0, b""
        while chunk := self.read(_CHUNK, offset):
            offset += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (text(line) for line in whole if line)
        if rest:
            yield text(rest)

    def lines_backwards(self) -> Iterator[str]:
        """Every line that is not empty, newest first."""
        position, rest = self.size, b""
        while position > 0:
            size = min(_CHUNK, position)
            position -= size
            rest, *whole = (self.read(size, position) + rest).split(b"\n")
            yield from (text(line) for line in reversed(whole) if line)
        if rest:
            yield text(rest)

    def places(self, needle: bytes) -> Iterator[int]:
        """Where `needle` stands, oldest first."""
        offset, kept = 0, b""
        while chunk := self.read(_SEARCHED, offset):
            window, begins = kept + chunk, offset - len(kept)
            start = window.find(needle)
            while start >= 0:
                yield begins + start
                start = window.find(needle, start + 1)
            offset += len(chunk)
            kept = window[-(len(needle) - 1) :] if len(needle) > 1 else b""

    def block(self, place: int) -> tuple[list[str], int]:
        """The lines of the entry that the byte at `place` belongs to, and where the entry ends."""
        span = _CHUNK
        while True:
            begins = max(0, place - span)
            window = self.read(2 * span, begins)
            lines, first, end = _around(window, place - begins)
            cut_before = first == 0 and begins > 0
            cut_behind = end >= len(window) and begins + len(window) < self.size
            if span >= _SEARCHED or not (cut_before or cut_behind):
                return lines, begins + end
            span *= 4


def _around(window: bytes, place: int) -> tuple[list[str], int, int]:
    """The lines of the entry at `place`, where it begins in the window, and where it ends."""
    first = window.rfind(b"\n", 0, place) + 1
    end = _end_of(window, place)
    head = end
    while first > 0 and not starts(text(window[first:head])):
        head = first - 1
        first = window.rfind(b"\n", 0, head) + 1
    while end + 1 < len(window):
        following = _end_of(window, end + 1)
        if starts(text(window[end + 1 : following])):
            break
        end = following
    return [text(line) for line in window[first:end].split(b"\n")], first, end


def _end_of(window: bytes, place: int) -> int:
    found = window.find(b"\n", place)
    return found if found >= 0 else len(window)


def text(raw: bytes) -> str:
    """A line as text, whatever is in it."""
    return raw.decode(errors="replace")


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise NotReady(
            f"you may not read {path}", code="NOT_READABLE", hint=f"make it yours: sudo chown $(id -un) '{path}'"
        ) from error

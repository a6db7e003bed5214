"""The only printer. stdout carries the answer, stderr progress and errors.

With `--json` stdout is exactly one document, `{"version": 1, "ok": true, "data": ...}` or
`{"version": 1, "ok": false, "error": {code, message, detail, hint}}`; streams (`logs`) are one JSON object a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, TextIO

from jeex_cli.errors import JeexError
from jeex_cli.events import Step

_MARKS = {"done": ("✓", "32"), "kept": ("•", "2"), "failed": ("✗", "31")}
_PLAIN = {"done": "ok", "kept": "--", "failed": "!!"}


@dataclass(slots=True)
class Output:
    """How one command speaks. `json` silences progress, `quiet` everything but errors and what was asked for by name."""

    json: bool = False
    quiet: bool = False
    color: bool = False
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    _busy: list[str] = field(default_factory=list)

    def step(self, step: Step) -> None:
        """Progress. On a terminal one line shows what is under way; ended steps stay as lines of their own."""
        if self.json or self.quiet:
            return
        self._clear()
        if step.status == "running":
            if step.text not in self._busy:
                self._busy.append(step.text)
        else:
            if step.text in self._busy:
                self._busy.remove(step.text)
            seconds = "" if step.seconds is None else f"{step.seconds:6.2f} s"
            note = "already running" if step.status == "kept" else step.detail
            self._err(f"  {self._mark(step.status)} {step.text:<14}{seconds:>9}  {self.paint(note, '2')}".rstrip())
        self._show_busy()

    def progress(self, text: str, done: int, total: int) -> None:
        """How far a long step is, on one line that is drawn over; on a terminal alone. A `total` of 0 takes it away."""
        if self.json or self.quiet or not self.stderr.isatty():
            return
        bar = (
            ""
            if total == 0
            else f"  [{'#' * (20 * done // total):<20}] {100 * done // total:3d} %  {done:,} of {total:,}  {text}"
        )
        self.stderr.write(f"\r{bar[:100]}\033[K")
        self.stderr.flush()

    def note(self, text: str) -> None:
        """One line that explains a choice, on stderr."""
        if not (self.json or self.quiet):
            self._clear()
            self._err(f"  {text}")
            self._show_busy()

    def result(self, data: Any, text: str = "") -> None:
        """The command's answer: `data` for programs, `text` for people."""
        self._clear()
        if self.json:
            self._out(json.dumps({"version": 1, "ok": True, "data": _plain(data)}, default=str))
        elif text and not self.quiet:
            self._out(text)

    def line(self, data: Mapping[str, Any], text: str) -> None:
        """One line of a stream."""
        # DEL is a character like any other to JSON, but not to a terminal.
        self._out(json.dumps(_plain(data), default=str).replace("\x7f", "\\u007f") if self.json else text)

    def error(self, error: JeexError) -> None:
        """Why the command failed."""
        self._clear()
        if self.json:
            body: dict[str, Any] = {
                "code": error.code,
                "message": error.message,
                "detail": error.detail,
                "hint": error.hint,
            }
            document: dict[str, Any] = {"version": 1, "ok": False, "error": body}
            if error.data is not None:
                document["data"] = _plain(error.data)
            self._out(json.dumps(document, default=str))
            return
        self._err(f"{self.paint('error', '31;1')}: {error.message} [{error.code}]")
        for line in error.detail.splitlines():
            self._err(f"  {line}")
        if error.hint:
            self._err(f"{self.paint('try', '36')}: {error.hint}")

    def paint(self, text: str, code: str) -> str:
        """`text` in an ANSI colour, where colours are wanted."""
        return f"\033[{code}m{text}\033[0m" if self.color and text else text

    def _mark(self, status: str) -> str:
        encoding = getattr(self.stderr, "encoding", None) or "utf-8"
        mark, color = _MARKS[status]
        try:
            mark.encode(encoding)
        except UnicodeEncodeError:
            mark = _PLAIN[status]
        return self.paint(mark, color)

    def _show_busy(self) -> None:
        if self._busy and self.color:
            self.stderr.write(f"  … {', '.join(self._busy)}"[:78])
            self.stderr.flush()

    def _clear(self) -> None:
        if self._busy and self.color:
            self.stderr.write("\r\033[K")

    def _out(self, text: str) -> None:
        self.stdout.write(text + "\n")
        self.stdout.flush()

    def _err(self, text: str) -> None:
        self.stderr.write(text + "\n")
        self.stderr.flush()


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`rows` under `headings`, columns as wide as their widest cell."""
    everything = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in everything) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything
    )


def duration(seconds: float) -> str:
    """Seconds as people say them: `4 s`, `3 min`, `2 h`, `5 d`."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds / 86_400)} d"


def size(number: int) -> str:
    """Bytes as people say them: `640 B`, `1.4 MiB`."""
    amount, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def _plain(data: Any) -> Any:
    if is_dataclass(data) and not isinstance(data, type):
        return {name: _plain(value) for name, value in asdict(data).items()}
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    return data

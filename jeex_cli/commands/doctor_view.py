"""How doctor's findings look on a terminal, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

from jeex_cli.checks.base import Check
from jeex_cli.events import Finding
from jeex_cli.ops.doctor.plan import Planned
from jeex_cli.output import Output, table

_WIDTH = 80
_MARKS = {"ok": ("✓", "32"), "warn": ("!", "33"), "fail": ("✗", "31"), "unknown": ("?", "35"), "skipped": ("-", "2")}
_SHOWN = 8  # lines of evidence


def report_text(output: Output, findings: Sequence[Finding], seconds: float, *, everything: bool) -> str:
    """A line for each group, below it what is wrong; with `everything` what is not, too."""
    lines = []
    for group, found in groupby(findings, lambda one: one.group):
        members = list(found)
        lines.append(_group(output, group, members))
        for one in members:
            if everything or one.level not in ("ok", "skipped"):
                lines += _finding(output, one)
    counts = [
        f"{sum(one.level == level for one in findings)} {word}"
        for level, word in (
            ("fail", "failed"),
            ("warn", "warnings"),
            ("unknown", "unknown"),
            ("ok", "fine"),
            ("skipped", "skipped"),
        )
        if any(one.level == level for one in findings)
    ]
    lines += ["", f"{len(findings)} checks in {seconds:.2f} s: {', '.join(counts)}"]
    return "\n".join(lines)


def _group(output: Output, group: str, members: Sequence[Finding]) -> str:
    worst = next(
        level for level in ("fail", "warn", "unknown", "ok", "skipped") if any(one.level == level for one in members)
    )
    fine = sum(one.level == "ok" for one in members)
    reasons = {one.summary for one in members if one.level == "skipped"}
    skipped = sum(one.level == "skipped" for one in members)
    if skipped == len(members) and len(reasons) == 1:
        note = reasons.pop()
    else:
        note = f"{fine} of {len(members) - skipped} fine" + (f", {skipped} skipped" if skipped else "")
    return f"{_mark(output, worst)} {group:<14} {note}"


def _finding(output: Output, one: Finding) -> list[str]:
    lines = _wrapped(f"  {_MARKS[one.level][0]} {one.check}: {one.summary}", "    ")
    lines[0] = lines[0].replace(_MARKS[one.level][0], _mark(output, one.level), 1)
    if one.level in ("ok", "skipped"):
        return lines
    for text in one.evidence[:_SHOWN]:
        lines += _wrapped(f"      {text}", "      ")
    if len(one.evidence) > _SHOWN:
        lines.append(f"      ... and {len(one.evidence) - _SHOWN} more (--json has them)")
    if one.fix:
        lines += _wrapped(f"    try: {one.fix}", "      ")
    if one.repair:
        lines += _wrapped(f"    --fix would: {one.repair}", "      ")
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    """Broken between words alone: a command must stay one that can be copied."""
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _mark(output: Output, level: str) -> str:
    mark, color = _MARKS[level]
    encoding = getattr(output.stdout, "encoding", None) or "utf-8"
    try:
        mark.encode(encoding)
    except UnicodeEncodeError:
        mark = {"ok": "+", "fail": "x"}[level]
    return output.paint(mark, color) if output.stdout.isatty() else mark


def listing(checks: Sequence[Check]) -> str:
    """Every check in a line."""
    return table(("CHECK", "GROUP", "LOOKS WHETHER"), [[one.id, one.group, one.title] for one in checks])


def explanation(check: Check) -> str:
    """What a check is for."""
    only = {"embedded": "Without Docker only.", "compose": "With Docker only."}.get(check.runtime, "")
    up = "`jeex up` asks it before it starts anything." if check.before_up else ""
    paragraphs = [check.explanation, " ".join(one for one in (only, up) if one)]
    body = "\n\n".join("\n".join(_wrapped(one, "")) for one in paragraphs if one)
    return f"{check.id}: {check.title}\n\n{body}"


def plan_text(planned: Sequence[Planned]) -> str:
    """What would be done, and for what."""
    if not planned:
        return "There is nothing that --fix could do."
    lines = ["--fix would do this:"]
    for number, one in enumerate(planned, 1):
        lines += _wrapped(f"  {number}. {one.repair.text}  ({', '.join(one.checks)})", "     ")
    return "\n".join(lines)

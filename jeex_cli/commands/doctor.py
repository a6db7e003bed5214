"""`jeex doctor`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from jeex_cli.checks.base import Check
from jeex_cli.commands.common import RuntimeName, Yes, command, typer_app, wants_yes
from jeex_cli.commands.doctor_view import explanation, listing, plan_text, report_text
from jeex_cli.errors import NotReady, UsageError
from jeex_cli.ops.doctor import bundle as bundles
from jeex_cli.ops.doctor import examine, plan, repairs
from jeex_cli.ops.doctor.examine import Examined
from jeex_cli.output import Output
from jeex_cli.session import Session

app = typer_app()

Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="CHECK", help="This check or group alone; may be repeated.")
]
List = Annotated[bool, typer.Option("--list", help="Every check, and what it looks at.")]
Explain = Annotated[str | None, typer.Option("--explain", metavar="CHECK", help="What a check looks at, and why.")]
Fix = Annotated[bool, typer.Option("--fix", help="Repair what can be repaired: show the plan, ask, do it, look again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --fix: show the plan alone.")]
Bundle = Annotated[str | None, typer.Option("--bundle", metavar="FILE", help="Write a report without secrets, for a bug.")]
All = Annotated[bool, typer.Option("--all", "-a", help="Show the checks that found nothing, too.")]


@command(app)
def doctor(  # noqa: PLR0917 - flags: the command line gives them by name
    session: Session,
    only: Only = None,
    list_: List = False,
    explain: Explain = None,
    fix: Fix = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    bundle: Bundle = None,
    all_: All = False,
    runtime: RuntimeName = None,
) -> None:
    """Find what keeps the stack from working, say why, and repair it. Exit 3 if something fails; warnings are 0."""
    checks = examine.chosen(only or ())
    if dry_run and not fix:
        raise UsageError("--dry-run shows what --fix would do", hint="jeex doctor --fix --dry-run")
    if list_:
        session.output.result([_described(one) for one in checks], listing(checks))
        return
    if explain is not None:
        one = examine.check_of(explain)
        session.output.result(_described(one), explanation(one))
        return
    began = time.monotonic()
    found = examine.examine(session, checks)
    done: list[plan.Planned] = []
    if fix:
        planned = plan.plan(found)
        if planned and not dry_run and _agreed(session, planned, yes):
            done, found = _repair(session, planned, found)
        elif dry_run:
            _show(session.output, plan_text(planned))
    seconds = round(time.monotonic() - began, 3)
    if bundle is not None:
        written = bundles.write(session, Path(bundle), [one.finding for one in found])
        session.output.note(f"{written}: look through it before you send it")
    _answer(session, found, done, seconds, all_)


def _described(check: Check) -> dict[str, object]:
    return {
        "id": check.id,
        "group": check.group,
        "title": check.title,
        "explanation": check.explanation,
        "runtime": check.runtime,
        "before_up": check.before_up,
    }


def _show(output: Output, text: str) -> None:
    if not (output.json or output.quiet):
        output.stderr.write(text + "\n")


def _agreed(session: Session, planned: list[plan.Planned], yes: bool) -> bool:
    _show(session.output, plan_text(planned))
    if wants_yes(session, yes):
        return True
    if session.output.json:
        raise UsageError("--fix asks, and with --json there is nobody to ask", hint="jeex doctor --fix --yes --json")
    return typer.confirm("Do it?", err=True)


def _repair(
    session: Session, planned: list[plan.Planned], found: list[Examined]
) -> tuple[list[plan.Planned], list[Examined]]:
    """Carry the plan out and look again; what comes of one repair may make the next one needless, or possible."""
    for one in planned:
        session.output.note(one.repair.text)
        repairs.carry_out(session.anew(), one.repair)
    return planned, examine.examine(session.anew(), [one.check for one in found])


def _answer(session: Session, found: list[Examined], done: list[plan.Planned], seconds: float, all_: bool) -> None:
    findings = [one.finding for one in found]
    data = {
        "seconds": seconds,
        "summary": {
            level: sum(one.level == level for one in findings) for level in ("ok", "warn", "fail", "unknown", "skipped")
        },
        "findings": findings,
        "repaired": [{"repair": one.repair.text, "checks": list(one.checks)} for one in done],
    }
    text = report_text(session.output, findings, seconds, everything=all_)
    failed = [one for one in findings if one.level == "fail"]
    if not failed:
        session.output.result(data, text)
        return
    if not session.output.json:
        session.output.result(None, text)
    repairable = any(one.repair for one in findings)
    raise NotReady(
        f"{failed[0].summary}"
        if len(failed) == 1
        else f"{len(failed)} checks failed: {', '.join(one.check for one in failed)}",
        code="DOCTOR",
        hint="jeex doctor --fix" if repairable and not done else failed[0].fix or f"jeex doctor --explain {failed[0].check}",
        data=data,
    )

"""Running checks: each kind of facts is gathered in a thread of its own, with a limit, and judged by its checks."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jeex_cli.checks import CHECKS, GROUPS
from jeex_cli.checks.base import CannotLook, Check, Verdict, skipped, unknown
from jeex_cli.errors import JeexError, NotReady, UsageError
from jeex_cli.events import Finding
from jeex_cli.ops.doctor import looks
from jeex_cli.session import Session

_PATIENCE = 2.5  # seconds that one look may take
_ELSEWHERE = {"embedded": "the stack runs in Docker", "compose": "the stack runs without Docker"}


@dataclass(frozen=True, slots=True)
class Examined:
    """A check and what it made of its facts."""

    check: Check
    verdict: Verdict

    @property
    def finding(self) -> Finding:
        """For people and programs."""
        found = self.verdict
        repair = found.repair.text if found.repair is not None else ""
        return Finding(self.check.id, self.check.group, found.level, found.summary, found.evidence, found.fix, repair)


def chosen(names: Collection[str]) -> tuple[Check, ...]:
    """The checks of these ids and groups, separated by commas too; all where there are none. Raises UsageError."""
    wanted = [name for text in names for name in text.replace(",", " ").split()]
    for name in wanted:
        if name not in GROUPS and all(name != check.id for check in CHECKS):
            raise _no_such_check(name)
    return tuple(check for check in CHECKS if not wanted or check.id in wanted or check.group in wanted)


def check_of(id: str) -> Check:
    """The check of that id. Raises UsageError."""
    for check in CHECKS:
        if check.id == id:
            return check
    raise _no_such_check(id)


def examine(session: Session, checks: Sequence[Check]) -> list[Examined]:
    """Every check with its verdict, in the order given. Nothing is changed, and nothing is raised."""
    runtime = _runtime(session)
    facts = _gather(session, {check.facts for check in checks if not runtime or check.runtime in ("", runtime)})
    return [Examined(check, _verdict(check, facts, runtime)) for check in checks]


def refuse(session: Session, names: Collection[str]) -> None:
    """Raise NotReady for what would keep `up` from working, in doctor's words.

    With `names` those checks are left out that are about other services alone. What could not be looked at stops nobody.
    """
    checks = [
        check
        for check in CHECKS
        if check.before_up
        and check.runtime in ("", session.choice.name)
        and (not names or not check.services or not set(check.services).isdisjoint(names))
    ]
    facts = {kind: _look(session, kind) for kind in dict.fromkeys(check.facts for check in checks)}
    for check in checks:
        found = _verdict(check, facts, session.choice.name)
        if found.level == "fail":
            raise NotReady(
                found.summary,
                code=found.code or check.code,
                detail="\n".join(found.evidence),
                hint=found.fix or _more(check),
            )


def causes(session: Session, names: Collection[str]) -> dict[str, Finding]:
    """Why services do not work: by name the first finding that fails and may explain it, for those that have one."""
    return {name: one.finding for name, one in _causes(session, names).items()}


def explained(session: Session, names: Collection[str], error: JeexError) -> JeexError:
    """`error` of services that do not work; where a finding explains it, in the words of that."""
    found = _causes(session, names)
    one = next((found[name] for name in names if name in found), None)
    if one is None or one.verdict.summary == error.message:
        return error
    verdict = one.verdict
    return type(error)(
        verdict.summary,
        code=verdict.code or one.check.code,
        detail="\n".join([*verdict.evidence, error.message, *error.detail.splitlines()]),
        hint=verdict.fix or _more(one.check),
        data=error.data,
    )


def _causes(session: Session, names: Collection[str]) -> dict[str, Examined]:
    examined = examine(session, [check for check in CHECKS if not set(check.services).isdisjoint(names)])
    failed = [one for one in examined if one.verdict.level == "fail"]
    found = {name: next((one for one in failed if name in one.check.services), None) for name in names}
    return {name: one for name, one in found.items() if one is not None}


def _more(check: Check) -> str:
    return f"jeex doctor --explain {check.id}"


def _no_such_check(name: str) -> UsageError:
    import difflib

    close = difflib.get_close_matches(name, [*GROUPS, *(check.id for check in CHECKS)], n=1)
    return UsageError(
        f"there is no check {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""),
        code="UNKNOWN_CHECK",
        hint="jeex doctor --list",
    )


def _runtime(session: Session) -> str:
    """Its name; "" where the project's files do not tell, which is a finding of its own."""
    try:
        _ = session.stack  # here, once, rather than in each of the threads
        return session.choice.name
    except JeexError:
        return ""


def _verdict(check: Check, facts: dict[type[Any], Any], runtime: str) -> Verdict:
    if runtime and check.runtime not in ("", runtime):
        return skipped(_ELSEWHERE[check.runtime])
    found = facts[check.facts]
    if isinstance(found, Verdict):
        return found
    try:
        return check.judge(found)
    except Exception as error:  # noqa: BLE001 - a check that crashes is a result, and says so
        return _crashed(error)


def _look(session: Session, kind: type[Any]) -> Any:
    """The facts, or the verdict that there are none."""
    try:
        return looks.look(kind, session)
    except CannotLook as error:
        return skipped(error.reason) if error.expected else unknown(error.reason)
    except JeexError as error:
        return replace(unknown(error.message, fix=error.hint), code=error.code)
    except Exception as error:  # noqa: BLE001 - as above
        return _crashed(error)


def _crashed(error: Exception) -> Verdict:
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
    return replace(
        unknown(
            f"this check has a bug ({type(error).__name__} at {place})", fix="report it: jeex doctor --bundle report.zip"
        ),
        evidence=(str(error)[:200],),
    )


def _gather(session: Session, kinds: Collection[type[Any]]) -> dict[type[Any], Any]:
    answers: queue.SimpleQueue[tuple[type[Any], Any]] = queue.SimpleQueue()
    for kind in kinds:
        # Daemons: one that hangs in a system call must not keep the command from ending.
        threading.Thread(target=lambda kind=kind: answers.put((kind, _look(session, kind))), daemon=True).start()
    facts: dict[type[Any], Any] = {}
    deadline = time.monotonic() + _PATIENCE
    while len(facts) < len(kinds):
        try:
            kind, found = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        facts[kind] = found
    return {kind: facts.get(kind, unknown(f"no answer within {_PATIENCE:g} s")) for kind in kinds}

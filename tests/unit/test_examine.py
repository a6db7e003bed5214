"""How checks are run: what crashes, hangs or cannot look is a result, and the others are not kept from theirs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.checks import CHECKS, GROUPS, base, repairs
from jeex_cli.checks.base import CannotLook, Check, Verdict, fail, ok, warn
from jeex_cli.errors import NotReady, Unhealthy, UsageError
from jeex_cli.ops.doctor import examine, looks, plan
from jeex_cli.ops.doctor import repairs as carried_out
from jeex_cli.output import Output
from jeex_cli.project import Project
from jeex_cli.session import Session


@dataclass(frozen=True)
class Fine:
    pass


@dataclass(frozen=True)
class Broken:
    pass


def check(facts: type[Any], judge: Callable[[Any], Verdict], **options: Any) -> Check:
    return Check(options.pop("id", "one"), "group", "title", "why", facts, judge, **options)


def bug(_facts: object) -> Verdict:
    raise ZeroDivisionError("division by zero")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Project(tmp_path), Output(), {"JEEX_RUNTIME": "embedded"}, {})


@contextmanager
def looking(monkeypatch: pytest.MonkeyPatch, **kinds: Callable[[Session], Any]) -> Iterator[None]:
    types = {"Fine": Fine, "Broken": Broken}
    made = {types[name]: look for name, look in kinds.items()}
    monkeypatch.setattr(looks, "look", lambda kind, session: made[kind](session))
    yield


def refuse_to_look(_session: Session) -> Broken:
    raise CannotLook("the light is off")


def nothing_there(_session: Session) -> Broken:
    raise CannotLook("it does not run", expected=True)


def not_ready(_session: Session) -> Broken:
    raise NotReady("the engine is away", code="AWAY", hint="start it")


def crash(_session: Session) -> Broken:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("look", "level", "says"),
    [
        (refuse_to_look, "unknown", "not looked at: the light is off"),
        (nothing_there, "skipped", "not looked at: it does not run"),
        (not_ready, "unknown", "not looked at: the engine is away"),
        (crash, "unknown", "bug (KeyError at test_examine.py:"),
    ],
)
def test_who_cannot_look_says_so_and_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch, session: Session, look: Callable[[Session], Any], level: str, says: str
) -> None:
    with looking(monkeypatch, Fine=lambda _: Fine(), Broken=look):
        first, second = examine.examine(session, [check(Broken, lambda _: ok("never")), check(Fine, lambda _: ok("fine"))])
    assert (first.verdict.level, second.verdict.level) == (level, "ok")
    assert says in first.verdict.summary


def test_a_check_that_crashes_is_a_result(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    with looking(monkeypatch, Fine=lambda _: Fine()):
        first, second = examine.examine(session, [check(Fine, bug), check(Fine, lambda _: ok("fine"))])
    assert first.verdict.level == "unknown"
    assert "ZeroDivisionError" in first.verdict.summary
    assert "--bundle" in first.verdict.fix
    assert second.verdict.level == "ok"


def test_a_look_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    monkeypatch.setattr(examine, "_PATIENCE", 0.2)
    with looking(monkeypatch, Fine=lambda _: Fine(), Broken=lambda _: time.sleep(30)):
        first, second = examine.examine(session, [check(Broken, lambda _: ok("never")), check(Fine, lambda _: ok("fine"))])
    assert (first.verdict.level, second.verdict.level) == ("unknown", "ok")
    assert "no answer within 0.2 s" in first.verdict.summary


def test_looks_are_made_at_the_same_time_and_once_for_all_checks(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    seen: list[str] = []

    def slow(_session: Session) -> Fine:
        seen.append("looked")
        time.sleep(0.05)
        return Fine()

    with looking(monkeypatch, Fine=slow):
        found = examine.examine(session, [check(Fine, lambda _: ok("fine"), id=str(number)) for number in range(20)])
    assert [one.verdict.level for one in found] == ["ok"] * 20
    assert seen == ["looked"]


def test_a_check_of_the_other_runtime_is_skipped(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    with looking(monkeypatch, Fine=lambda _: Fine()):
        (found,) = examine.examine(session, [check(Fine, lambda _: ok("fine"), runtime="compose")])
    assert (found.verdict.level, found.verdict.summary) == ("skipped", "not looked at: the stack runs without Docker")


def test_up_refuses_in_the_words_of_the_check(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    checks = (
        check(Fine, lambda _: warn("a warning stops nobody", fix="x"), id="warning", before_up=True),
        check(Broken, lambda _: ok("never"), id="unknown", before_up=True),
        check(Fine, lambda _: fail("of another service", fix="x"), id="elsewhere", before_up=True, services=("redis",)),
        check(Fine, lambda _: fail("not asked before up", fix="x"), id="later"),
        check(Fine, lambda _: fail("the disk is full", ["12 MiB"], fix="free some"), id="disk-space", before_up=True),
    )
    monkeypatch.setattr(examine, "CHECKS", checks)
    with looking(monkeypatch, Fine=lambda _: Fine(), Broken=refuse_to_look), pytest.raises(NotReady) as caught:
        examine.refuse(session, ["postgres"])
    error = caught.value
    assert (error.code, error.message, error.detail, error.hint) == ("DISK_SPACE", "the disk is full", "12 MiB", "free some")


def test_a_failure_is_explained_by_the_finding_about_its_service(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    checks = (
        check(Fine, lambda _: fail("redis is in a bad mood", fix="x"), id="mood", services=("redis",)),
        check(
            Fine,
            lambda _: fail("vault is sealed", ["sealed since noon"], fix="unseal it"),
            id="sealed",
            services=("vault", "api"),
        ),
    )
    monkeypatch.setattr(examine, "CHECKS", checks)
    error = Unhealthy("API was not ready", detail="HTTP 503")
    with looking(monkeypatch, Fine=lambda _: Fine()):
        found = examine.explained(session, ["api"], error)
        assert examine.explained(session, ["frontend"], error) is error
    assert type(found) is Unhealthy
    assert (found.code, found.message, found.hint) == ("SEALED", "vault is sealed", "unseal it")
    assert found.detail.splitlines() == ["sealed since noon", "API was not ready", "HTTP 503"]


def test_a_repair_that_several_checks_ask_for_is_planned_once() -> None:
    start = repairs.StartStack()
    checks = [check(Fine, lambda _: fail("x", repair=start), id=id) for id in ("a", "b")]
    examined = [examine.Examined(one, one.judge(Fine())) for one in checks]
    assert [(one.repair.text, one.checks) for one in plan.plan(examined)] == [("jeex up", ("a", "b"))]


def test_an_unknown_check_is_refused_with_what_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'env-mode'"):
        examine.chosen(["env-mod"])
    assert next(one.id for one in examine.chosen(["env-mode, ports"])) == "env-mode"


def test_every_check_has_a_stable_id_words_and_a_look() -> None:
    ids = [one.id for one in CHECKS]
    assert len(ids) == len(set(ids)) >= 40
    assert not set(ids) & set(GROUPS)
    for one in CHECKS:
        assert one.id == one.id.lower().replace("_", "-")
        assert one.title and one.explanation.endswith((".", ")"))
        assert one.facts in looks.LOOKS
    assert set(looks.LOOKS) == {one.facts for one in CHECKS}


def test_every_repair_can_be_carried_out() -> None:
    assert set(carried_out.HOW) == set(repairs.Repair.__args__)
    assert base.refused(NotReady("x", detail="a\nb", hint="y", code="Z")) == Verdict("fail", "x", ("a", "b"), "y", None, "Z")

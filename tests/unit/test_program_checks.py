"""What is made of programs that were asked for their version."""

from __future__ import annotations

from jeex_cli.checks.programs import Loaded, Tried, programs_load

FINE = Tried("psql", "/bin/psql", True, "psql (PostgreSQL) 18.6")
MUTE = Tried("bao", "/bin/bao", False, "no answer within 2.5 s", mute=True)
BROKEN = Tried("valkey-server", "/bin/valkey-server", False, "Exec format error")


def test_one_that_has_not_answered_in_time_is_not_called_broken() -> None:
    found = programs_load(Loaded((FINE, MUTE)))
    assert (found.level, found.summary) == ("unknown", "not looked at: /bin/bao --version: no answer within 2.5 s")
    assert found.fix


def test_one_that_is_broken_is_told_of_beside_one_that_does_not_answer() -> None:
    found = programs_load(Loaded((MUTE, BROKEN)))
    assert (found.level, found.code) == ("fail", "PROGRAM_BROKEN")
    assert "/bin/valkey-server" in found.summary
    assert programs_load(Loaded((FINE,))).level == "ok"

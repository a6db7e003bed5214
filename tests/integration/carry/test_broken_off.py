"""Switches that do not end well: interrupted, failing, killed. What there was goes on as if nobody had tried."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from jeex_cli import state
from jeex_cli.errors import Interrupted, Unhealthy
from jeex_cli.ops import carry, carry_database, carry_redis, runtimes, switch, switch_record
from jeex_cli.project import Project
from jeex_cli.runtimes.embedded import EmbeddedRuntime
from jeex_cli.runtimes.programs.postgres import binaries
from tests.integration.carry.house import ELSEWHERE, House, Watched, attempt, switched

pytestmark = pytest.mark.timeout(300)


def assert_as_before(house: House) -> None:
    """The project is the embedded one's, whose data is whole; nothing is left of the attempt."""
    assert state.load(Project(house.root)).runtime == "embedded"
    assert not switch_record.folder(Project(house.root)).exists()
    assert house.data(ELSEWHERE) == []
    running = [one.name for one in house.runtime("compose").states(house.session().stack) if one.status != "stopped"]
    assert running == []


# Step, status and how often it was reported by then, where only the databases run before.
MOMENTS = [
    ("copy-redis", "running", 1),
    ("redis", "running", 2),  # the source's is being stopped
    ("postgres", "running", 3),  # the target's is being started
    ("fill-redis", "done", 1),
    ("frontend", "done", 1),  # the target's is up, others are being started
]


def test_ctrl_c_while_the_api_is_being_stopped_changes_nothing(up: House) -> None:
    interrupted(up, ("api", "running", 1))


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_ctrl_c_at_any_moment_changes_nothing(databases: House, moment: tuple[str, str, int]) -> None:
    interrupted(databases, moment)


def interrupted(house: House, moment: tuple[str, str, int]) -> None:
    error = attempt(house, at=moment)
    assert isinstance(error, Interrupted)
    assert error.detail == "Nothing of embedded was changed: `jeex up` goes on with it."
    assert error.hint == "jeex up"
    assert_as_before(house)


def test_a_restore_that_fails_changes_nothing(databases: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pg_restore").write_text("#!/bin/sh\necho 'pg_restore: error: as planned' >&2\nexit 1\n")
    (tmp_path / "pg_restore").chmod(0o755)
    (tmp_path / "pg_dump").symlink_to(binaries(databases.session().place) / "pg_dump")
    monkeypatch.setattr(carry, "binaries", lambda _: tmp_path)
    error = attempt(databases)
    assert error.code == "CARRY_FAILED"
    assert "as planned" in error.detail and "Nothing of embedded was changed" in error.detail
    assert_as_before(databases)


def test_a_copy_that_is_another_is_refused_with_what_differs(databases: House, monkeypatch: pytest.MonkeyPatch) -> None:
    load = carry_redis.load

    def wrong(server: carry_redis.Server, folder: Path) -> None:
        load(server, folder)
        with databases.redis() as client:
            client.xadd("jobs", {"one": "more"})
        with carry_database.connected(up_server, "jeex") as one:
            one.execute("UPDATE public.tenant SET name = 'another'")

    up_server = carry.stores(databases.session()).postgres
    monkeypatch.setattr(carry_redis, "load", wrong)
    error = attempt(databases)
    assert error.code == "CARRY_MISMATCH"
    lines = error.detail.splitlines()
    assert lines[0] == "jeex: public.tenant has other values than before"
    assert lines[1].startswith("Redis: key 'jobs' had 1 elements and has 2")
    assert_as_before(databases)


def test_a_target_whose_services_do_not_start_is_given_up(databases: House, monkeypatch: pytest.MonkeyPatch) -> None:
    start = EmbeddedRuntime.start

    def failing(self: EmbeddedRuntime, stack: Any, names: Any, report: Any, *, timeout: float) -> None:
        everything = self.name == "compose" and not names
        start(self, stack, ("vault", "frontend") if everything else names, report, timeout=timeout)
        if everything:
            raise Unhealthy("API did not start")

    monkeypatch.setattr(EmbeddedRuntime, "start", failing)
    error = attempt(databases)
    assert (error.code, error.exit_code) == ("UNHEALTHY", 5)
    assert_as_before(databases)


class Killed(BaseException):
    """As kill -9: nothing is done afterwards."""


@pytest.mark.parametrize("moment", [("copy-redis", "done", 1), ("fill-database", "done", 1), ("api", "done", 1)], ids=str)
def test_what_a_killed_switch_left_is_cleared_away(
    databases: House, moment: tuple[str, str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(switch, "_undone", lambda *_: Killed())
        with pytest.raises(Killed):
            switched(databases, "compose", Watched(stdout=io.StringIO(), stderr=io.StringIO(), at=moment, then=Killed))
    project = Project(databases.root)
    assert state.load(project).runtime == "embedded"
    manifest = json.loads((switch_record.folder(project) / "manifest.json").read_text())
    assert (manifest["source"], manifest["target"]) == ("embedded", "compose")
    assert switch_record.folder(project).stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in switch_record.folder(project).iterdir()} == {0o600}
    assert runtimes.show(databases.session()).unfinished == "compose"

    same = switch.switch(databases.session(), "embedded", carry_data=True)
    assert (same.changed, same.runtime) == (False, "embedded")
    assert_as_before(databases)


def test_after_all_that_everything_is_there(up: House) -> None:
    up.check()

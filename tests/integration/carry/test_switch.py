"""`jeex runtime switch`: what it refuses, what each runtime keeps, and there and back with everything."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import pytest

from jeex_cli import state
from jeex_cli.errors import JeexError
from jeex_cli.ops import lifecycle, runtimes, switch, switch_record, tenants
from jeex_cli.project import Project
from tests.integration.carry.house import ELSEWHERE, House, Watched, attempt, switched

pytestmark = pytest.mark.timeout(300)


def test_data_in_the_target_is_refused_and_kept(up: House) -> None:
    there = up.root / ELSEWHERE / ".jeex" / "data" / "redis"
    there.mkdir(parents=True)
    (there / "dump").write_text("x" * 5000)
    try:
        error = attempt(up)
        assert error.code == "TARGET_HAS_DATA"
        assert str(there) in error.message
        assert "JEEX_RUNTIME=compose jeex down --delete-data" in error.hint
        assert (there / "dump").exists()
        up.check()  # nothing was stopped
    finally:
        shutil.rmtree(up.root / ELSEWHERE)


def test_a_setting_wins_and_is_named(up: House) -> None:
    env = up.root / ".env"
    before = env.read_text()
    env.write_text(before + "\n#\nJEEX_RUNTIME=embedded\n")
    try:
        error = attempt(up)
    finally:
        env.write_text(before)
    assert error.code == "RUNTIME_SET"
    assert f"{env}, line {len(before.splitlines()) + 3}" in error.message

    other = replace(up, environ={**up.environ, "JEEX_RUNTIME": "embedded"})
    error = attempt(other)
    assert error.code == "RUNTIME_SET"
    assert "the environment says JEEX_RUNTIME=embedded" in error.message
    shown = runtimes.show(other.session())
    assert (shown.runtime, shown.decided_by) == ("embedded", "setting")
    up.check()


def test_another_vault_is_refused(up: House) -> None:
    other = replace(up, environ={**up.environ, "JEEX_VAULT_IMAGE": "hashicorp/vault:1.20"})
    error = attempt(other)
    assert error.code == "VAULT_STORAGE"
    up.check()


def test_without_data_each_keeps_its_own(up: House) -> None:
    done = switch.switch(up.session(), "compose", carry_data=False)
    assert (done.changed, done.before, done.carried) == (True, "embedded", None)
    assert done.kept == [str(up.root / ".jeex" / "data" / name) for name in ("postgres", "redis")]
    assert state.load(Project(up.root)).runtime == "compose"
    assert {one.status for one in lifecycle.status(up.session()).services} == {"stopped"}
    assert runtimes.show(up.session()).decided_by == "remembered"
    again = switch.switch(up.session(), "compose", carry_data=True)
    assert not again.changed
    # The other one is empty: there is nothing to carry back, and nothing in its way.
    with pytest.raises(JeexError, match="already has data"):
        switched(up, "embedded")
    assert switch.switch(up.session(), "embedded", carry_data=False).kept == []
    lifecycle.up(up.session())
    up.check()


def test_there_and_back_with_everything(up: House) -> None:
    output = Watched(stdout=io.StringIO(), stderr=io.StringIO())
    done = switched(up, "compose", output)
    assert done.carried is not None and done.carried.keys >= 1 and done.carried.rows > 4
    assert done.carried.old_logins == 0  # each process gave its own back
    assert state.load(Project(up.root)).runtime == "compose"
    assert not switch_record.folder(Project(up.root)).exists()
    up.check()
    assert all(one.ok for one in lifecycle.status(up.session()).services)
    assert up.data() != [] and done.kept == [str(up.root / ".jeex" / "data" / name) for name in ("postgres", "redis")]
    assert {one.seconds is not None for one in output.steps if one.status == "done"} == {True}

    # What comes after is in the new one alone, until it is carried back.
    tenants.create(up.session(), "second", "bob@second.example", None)
    with pytest.raises(JeexError, match="already has data"):
        switched(up, "embedded")
    up.check()
    up.runtime("embedded").delete_data(up.session().stack)
    back = switched(up, "embedded")
    assert back.carried is not None and back.carried.rows > done.carried.rows
    up.check()
    assert {one["slug"] for one in tenants.list_all(up.session())} == {"acme", "second"}

"""`jeex runtime switch` with everything that it stops, copies and starts, and what becomes of one that does not end well.

In Docker's place stands a second embedded runtime with data of its own: real servers on the same ports.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from jeex_cli import state
from jeex_cli.errors import Interrupted, JeexError, Unhealthy
from jeex_cli.events import Step
from jeex_cli.ops import carry, carry_database, carry_redis, lifecycle, runtimes, switch, switch_record, tenants
from jeex_cli.output import Output
from jeex_cli.project import Project
from jeex_cli.runtimes import pick
from jeex_cli.runtimes.base import Runtime
from jeex_cli.runtimes.embedded import EmbeddedRuntime
from jeex_cli.runtimes.programs.base import Place
from jeex_cli.runtimes.programs.postgres import binaries
from jeex_cli.session import Session, open_session
from jeex_cli.state import State
from tests.integration.service.machine import free_port, request

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("switch")]

ELSEWHERE = "elsewhere"
SECRET = "secret/data/jeex/settings"


@dataclass
class Watched(Output):
    """Notes every step; at the one that is named, the user presses Ctrl-C or something fails."""

    steps: list[Step] = field(default_factory=list)
    at: tuple[str, str, int] | None = None
    then: type[BaseException] = KeyboardInterrupt

    def step(self, step: Step) -> None:
        self.steps.append(step)
        count = sum((one.id, one.status) == (step.id, step.status) for one in self.steps)
        if self.at == (step.id, step.status, count):
            raise self.then()


@dataclass
class House:
    """A project that is up, with a tenant, a secret and a job."""

    root: Path
    environ: dict[str, str]
    key: str = ""
    token: str = ""

    def session(self, output: Output | None = None, **flags: str) -> Session:
        made = output or Output(stdout=io.StringIO(), stderr=io.StringIO())
        return open_session(folder=str(self.root), flags=flags, environ=self.environ, output=made, cwd=self.root)

    def port(self, name: str) -> str:
        return self.environ[f"JEEX_{name}_PORT"]

    def api(self, method: str, path: str, key: str) -> tuple[int, Any]:
        return request(method, f"http://127.0.0.1:{self.port('API')}{path}", None, {"Authorization": f"Bearer {key}"})[:2]

    def vault(self, method: str, data: object = None) -> Any:
        secret = self.session().stack.service("seed").environment["VAULT_OPERATOR_SECRET"]
        address = f"http://127.0.0.1:{self.port('VAULT')}/v1/"
        login = {"role_id": "jeex-operator", "secret_id": secret}
        token = request("POST", f"{address}auth/approle/login", login)[1]["auth"]["client_token"]
        return request(method, f"{address}{SECRET}", data, {"X-Vault-Token": token})[1]

    def redis(self) -> Any:
        import redis

        password = self.session().stack.service("redis").environment["REDISCLI_AUTH"]
        return redis.Redis(port=int(self.port("REDIS")), password=password)

    def fill(self) -> None:
        self.key = tenants.create(self.session(), "acme", "alice@acme.example", None)["key"]
        self.token = self.api("POST", "/api/v1/tokens", self.key)[1]["access_token"]
        self.vault("POST", {"data": {"KEPT": "yes"}})
        with self.redis() as client:
            client.xadd("jobs", {"a": "b"}, id="1-1")

    def check(self) -> None:
        """Everything that was made is there, and works."""
        assert self.api("GET", "/api/v1/whoami", self.key)[0] == 200
        assert self.api("GET", "/api/v1/projects", self.token)[0] == 200  # signed with a key that is in Vault
        assert self.api("POST", "/api/v1/tokens", self.key)[0] == 201
        assert self.vault("GET")["data"]["data"] == {"KEPT": "yes"}
        with self.redis() as client:
            assert client.xrange("jobs") == [(b"1-1", {b"a": b"b"})]

    def data(self, where: str = "") -> list[str]:
        folder = self.root / where / ".jeex" / "data"
        return sorted(path.name for path in folder.glob("*")) if folder.exists() else []

    def runtime(self, name: str) -> Runtime:
        return pick.made(self.session().place, name)

    def stop(self) -> None:
        for name in ("embedded", "compose"):
            self.runtime(name).stop(self.session().stack, (), lambda _: None)


def made(place: Place, name: str) -> Runtime:
    if name == "embedded":
        return EmbeddedRuntime(place)
    return EmbeddedRuntime(replace(place, project=Project(place.project.root / ELSEWHERE)), name="compose")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("switch")
    names = ("FRONTEND", "API", "POSTGRES", "QDRANT", "REDIS", "VAULT")
    ports = {f"JEEX_{name}_PORT": str(free_port()) for name in names}
    one = House(root, {"PATH": os.environ["PATH"], "HOME": str(root), **ports})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pick, "made", made)
        state.save(Project(root), State("embedded"))
        lifecycle.up(one.session())
        one.fill()
        yield one
        one.stop()


def switched(house: House, target: str, output: Output | None = None) -> switch.Switched:
    return switch.switch(house.session(output), target, carry_data=True)


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


@pytest.fixture
def up(house: House) -> House:
    """It runs, whatever the test before has left."""
    lifecycle.up(house.session())
    return house


@pytest.fixture
def databases(house: House) -> House:
    """They run, and nothing else, whatever the test before has left: all that is copied is in them."""
    stack = house.session().stack
    house.runtime("embedded").stop(
        stack, [one.name for one in stack.services if one.name not in carry.SERVICES], lambda _: None
    )
    lifecycle.up(house.session(), carry.SERVICES)
    return house


def attempt(house: House, **watched: Any) -> JeexError:
    """A switch that does not end well."""
    with pytest.raises(JeexError) as failed:
        switched(house, "compose", Watched(stdout=io.StringIO(), stderr=io.StringIO(), **watched))
    return failed.value


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

"""From Docker to the wheels' servers and back, with a real engine: tenants, their keys, secrets and jobs come along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.docker.stack import JEEX, Stack, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MakeStack = Callable[..., Stack]
SECRET = "secret/data/jeex/settings"
JOB = (b"1-1", {b"\x00\xff": b"\r\n"})


class House:
    """A project with a tenant, a secret and a job, whichever runtime runs it."""

    def __init__(self, one: Stack) -> None:
        self.one = one
        self.key = one.tenant()
        self.token = one.token(self.key)
        assert one.vault("POST", SECRET, {"data": {"KEPT": "yes"}}, token=one.operator())[0] == 200
        with self.redis() as client:
            client.xadd("jobs", JOB[1], id=JOB[0])
            client.xgroup_create("jobs", "workers", id="0")
            client.set("for a while", "x", ex=3600)
        self.public = one.api("GET", "/.well-known/jwks.json")

    def redis(self) -> redis.Redis:
        return redis.Redis(
            port=int(self.one.variables["JEEX_REDIS_PORT"]), password=self.one.variables["JEEX_REDIS_PASSWORD"]
        )

    def check(self, runtime: str) -> None:
        assert self.one.jeex("status")["runtime"] == runtime
        assert all(one["ok"] for one in self.one.jeex("health")["services"])
        assert self.one.api("GET", "/api/v1/whoami", self.key)[0] == 200
        assert self.one.api("GET", "/api/v1/projects", self.token)[0] == 200  # a token of the other side
        assert self.one.api("GET", "/.well-known/jwks.json") == self.public
        self.one.token(self.key)
        status, body = self.one.vault("GET", SECRET, token=self.one.operator())
        assert (status, body["data"]["data"]) == (200, {"KEPT": "yes"})
        with self.redis() as client:
            assert client.xrange("jobs") == [JOB]
            assert client.xinfo_groups("jobs")[0]["name"] == b"workers"
            assert 0 < client.ttl("for a while") <= 3600


@contextmanager
def embedded_stopped(one: Stack) -> Iterator[None]:
    """Whatever happens, no process is left."""
    try:
        yield
    finally:
        jeex(one, "down", JEEX_RUNTIME="embedded")


def jeex(one: Stack, *arguments: str, code: int = 0, **environ: str) -> Any:
    """The data, or the error, of one answer."""
    ran = subprocess.run(
        [JEEX, "--json", *arguments],
        cwd=one.folder,
        env={**one.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    document = json.loads(ran.stdout)
    return document["data" if code == 0 else "error"]


def volumes(one: Stack) -> list[str]:
    label = f"label=com.docker.compose.project={one.variables['JEEX_PROJECT']}"
    return docker("volume", "ls", "--quiet", "--filter", label).stdout.split()


def remembered(one: Stack) -> str:
    return str(json.loads((one.folder / ".jeex" / "state.json").read_text())["runtime"])


def test_from_docker_to_the_wheels_and_back(stack: MakeStack) -> None:
    one = stack()
    with embedded_stopped(one):
        jeex(one, "up", "--runtime", "compose")
        house = House(one)
        house.check("compose")
        kept = volumes(one)

        done = jeex(one, "runtime", "switch", "embedded", "--carry-data")
        assert (done["runtime"], done["before"], done["changed"]) == ("embedded", "compose", True)
        assert done["carried"]["keys"] >= 2 and done["carried"]["rows"] > 4  # what cache and queue keep comes along
        assert done["carried"]["old_logins"] == 0
        assert one.states() == {}
        assert volumes(one) == kept and set(done["kept"]) == set(kept)
        house.check("embedded")
        assert jeex(one, "runtime", "switch", "embedded", "--carry-data")["changed"] is False

        # What is there is not written over; once it is deleted, the way back is free.
        error = jeex(one, "runtime", "switch", "compose", "--carry-data", code=3)
        assert error["code"] == "TARGET_HAS_DATA"
        house.check("embedded")
        jeex(one, "down", "--delete-data", "--yes", JEEX_RUNTIME="compose")
        assert volumes(one) == []
        house.check("embedded")
        new = jeex(one, "tenant", "create", "second", "--admin", "bob@second.example")["key"]

        done = jeex(one, "runtime", "switch", "compose", "--carry-data")
        assert (done["runtime"], done["before"]) == ("compose", "embedded")
        house.check("compose")
        assert one.api("GET", "/api/v1/whoami", new)[0] == 200
        one.wait_healthy()
        assert (one.folder / ".jeex" / "data" / "postgres" / "PG_VERSION").exists()
        assert not (one.folder / ".jeex" / "switch").exists()

        # Without data: what is in the other one is what one finds.
        done = jeex(one, "runtime", "switch", "embedded")
        assert (done["carried"], one.states()) == (None, {})
        assert jeex(one, "runtime", "show")["runtime"] == "embedded"
        jeex(one, "up")
        house.check("embedded")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_switch_that_is_broken_off_leaves_the_project_as_it_was(stack: MakeStack, number: signal.Signals) -> None:
    one = stack()
    with embedded_stopped(one):
        jeex(one, "up", "--runtime", "embedded")
        house = House(one)
        # Ctrl-C is one way out, whenever it comes; after a kill it is up to what is found.
        for moment in ("Fill database",) if number is signal.SIGINT else ("Copy database", "Fill database", "Compare"):
            code, said = broken_off(one, moment, number)
            assert remembered(one) == "embedded", said
            if number is signal.SIGINT:
                assert code == 130, said
                assert "Nothing of embedded was changed" in said
            else:
                assert (one.folder / ".jeex" / "switch" / "manifest.json").exists()
                # Either clears up before it does anything else.
                jeex(one, *(("up",) if moment == "Fill database" else ("runtime", "switch", "embedded")))
            assert not (one.folder / ".jeex" / "switch").exists()
            assert (volumes(one), one.states()) == ([], {}), said
            jeex(one, "up")
            house.check("embedded")
        jeex(one, "runtime", "switch", "compose", "--carry-data")
        house.check("compose")


def broken_off(one: Stack, moment: str, number: signal.Signals) -> tuple[int, str]:
    """End a switch once that step is done; its exit code and what it said."""
    said = ""
    with subprocess.Popen(
        [JEEX, "runtime", "switch", "compose", "--carry-data"],
        cwd=one.folder,
        env=one.environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if moment in line:
                os.kill(process.pid, number)
                break
        said += process.stderr.read()
        return process.wait(), said

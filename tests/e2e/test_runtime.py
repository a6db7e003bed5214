"""`jeex runtime` as a user types it; what a switch does with data is in tests/integration/carry and tests/docker."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Cli

pytestmark = pytest.mark.e2e


def test_show_names_the_runtime_why_and_what_would_work(cli: Cli) -> None:
    cli.extra["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    shown = cli.json("runtime", "show")
    assert (shown["runtime"], shown["decided_by"], shown["why"]) == ("embedded", "setting", "JEEX_RUNTIME (environment)")
    options = {one["name"]: one for one in shown["options"]}
    assert options["embedded"]["works"] is True and options["embedded"]["data"] == []
    assert options["compose"]["works"] is False
    assert options["compose"]["code"] and options["compose"]["problem"] and options["compose"]["hint"]
    text = cli.run("runtime", "show").stdout
    assert text.startswith("embedded, decided by: JEEX_RUNTIME (environment)\n")
    assert options["compose"]["hint"] in text


def test_a_switch_that_a_setting_forbids_or_that_is_none(cli: Cli) -> None:
    error = cli.json("runtime", "switch", "compose", "--carry-data", code=3)
    assert error["code"] == "RUNTIME_SET"
    assert "unset JEEX_RUNTIME" in error["hint"]
    done = cli.json("runtime", "switch", "embedded")
    assert (done["runtime"], done["changed"], done["carried"]) == ("embedded", False, None)
    assert json.loads((cli.folder / ".jeex" / "state.json").read_text())["runtime"] == "embedded"
    cli.extra["JEEX_RUNTIME"] = "auto"
    assert cli.json("runtime", "show")["decided_by"] == "remembered"
    assert cli.json("runtime", "switch", "elsewhere", code=2)["code"] == "USAGE"


def test_a_runtime_that_does_not_work_here_is_not_switched_to(cli: Cli) -> None:
    cli.extra.update(JEEX_RUNTIME="auto", DOCKER_HOST="tcp://127.0.0.1:1")
    cli.run("up", "redis", "--runtime", "embedded")
    before = cli.services()["redis"]["pid"]
    for option in ((), ("--carry-data",)):
        error = cli.json("runtime", "switch", "compose", *option, code=3)
        assert error["code"] and error["hint"]
        assert cli.services()["redis"]["pid"] == before
        assert cli.json("runtime", "show")["runtime"] == "embedded"


def test_one_can_leave_a_runtime_that_does_not_work_any_more(cli: Cli) -> None:
    cli.extra.update(JEEX_RUNTIME="auto", DOCKER_HOST="tcp://127.0.0.1:1")
    folder = cli.folder / ".jeex"
    folder.mkdir(mode=0o700)
    (folder / "state.json").write_text('{"version": 1, "runtime": "compose", "variables": {}}')
    assert cli.json("runtime", "switch", "embedded", "--carry-data", code=3)["code"] == "ENGINE_DOWN"
    done = cli.run("runtime", "switch", "embedded")
    assert "nothing was stopped in compose" in done.stderr
    assert cli.json("runtime", "show")["runtime"] == "embedded"

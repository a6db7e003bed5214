"""`jeex volume list`, with Docker and without."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Cli

pytestmark = pytest.mark.e2e


def test_data_is_listed_with_whose_it_is_as_long_as_it_is_there(either: Cli) -> None:
    began = time.time()
    assert either.json("volume", "list") == []
    assert "jeex up" in either.run("volume", "list").stdout
    assert not (either.folder / ".jeex").exists()

    either.run("up", "postgres")
    found = {one["service"]: one for one in either.json("volume", "list")}
    assert found["postgres"]["size"] > 10 * 2**20
    assert began - 2 < found["postgres"]["made"] < time.time() + 2
    assert all(one["problem"] == "" for one in found.values())

    lines = either.run("volume", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "SERVICE", "SIZE", "MADE"]
    assert max(map(len, lines)) <= 80
    assert any("postgres" in line and "MiB" in line for line in lines)

    either.run("down")
    assert {one["service"] for one in either.json("volume", "list")} == found.keys()

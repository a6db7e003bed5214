"""Snapshots with a real engine: taken with Docker and restored without, and the other way round."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.stack import Stack
from tests.docker.test_switch import House, embedded_stopped, jeex, volumes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MakeStack = Callable[..., Stack]


def tenants(one: Stack) -> set[str]:
    return {found["slug"] for found in jeex(one, "tenant", "list")}


def test_taken_with_docker_restored_without_and_back(stack: MakeStack) -> None:
    one = stack()
    with embedded_stopped(one):
        jeex(one, "up", "--runtime", "compose")
        house = House(one)
        saved = jeex(one, "snapshot", "save", "--reason", "with Docker")
        assert saved["runtime"] == "compose"
        jeex(one, "tenant", "create", "second", "--admin", "bob@second.example")

        # In the runtime that it was taken in.
        done = jeex(one, "snapshot", "restore", saved["id"], "--yes")
        assert done["migrated"] is False
        assert tenants(one) == {"acme"}
        house.check("compose")
        jeex(one, "undo", "--yes")
        assert tenants(one) == {"acme", "second"}

        # In the other one, where there is nothing yet.
        jeex(one, "runtime", "switch", "embedded")
        jeex(one, "snapshot", "restore", saved["id"], "--yes")
        assert tenants(one) == {"acme"}
        house.check("embedded")
        without = jeex(one, "snapshot", "save", "--reason", "without Docker")
        assert without["runtime"] == "embedded"

        # And back, over what is there.
        jeex(one, "runtime", "switch", "compose")
        jeex(one, "up")
        assert tenants(one) == {"acme", "second"}
        jeex(one, "snapshot", "restore", without["id"], "--yes")
        assert tenants(one) == {"acme"}
        house.check("compose")
        one.wait_healthy()


def test_deleted_volumes_come_back(stack: MakeStack) -> None:
    one = stack()
    jeex(one, "up", "--runtime", "compose")
    house = House(one)
    gone = jeex(one, "down", "--delete-data", "--yes")
    assert volumes(one) == []
    assert Path(gone["snapshot"]).parent == one.folder / ".jeex" / "snapshots"
    jeex(one, "undo", "--yes", JEEX_RUNTIME="compose")
    house.check("compose")
    shutil.rmtree(one.folder / ".jeex" / "snapshots")

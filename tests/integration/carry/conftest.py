"""Two sets of real servers, and a folder for what is carried between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.carry.sides import Side


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    made = [Side(tmp_path_factory.mktemp(name)) for name in ("source", "target")]
    yield made[0], made[1]
    for one in made:
        one.stop()


@pytest.fixture
def source(sides: tuple[Side, Side]) -> Side:
    sides[0].empty()
    return sides[0]


@pytest.fixture
def target(sides: tuple[Side, Side]) -> Side:
    sides[1].empty()
    return sides[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "switch"
    made.mkdir(mode=0o700)
    return made

"""Two sets of real servers, and a folder for what is carried between them; a project that is up, and another runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jeex_cli.ops import carry, lifecycle
from jeex_cli.runtimes import pick
from tests.integration.carry.house import House, made, project
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


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    one = project(tmp_path_factory.mktemp("switch"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pick, "made", made)
        lifecycle.up(one.session())
        one.fill()
        yield one
        one.stop()


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

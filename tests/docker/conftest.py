"""Each test has a stack of its own; the engine and the image are those of tests/conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.stack import Stack


@pytest.fixture
def stack(image: str, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes one stack, whose containers, networks and volumes are gone afterwards."""
    made: list[Stack] = []

    def make(**variables: str) -> Stack:
        made.append(Stack(tmp_path / f"stack-{len(made)}", image, variables))
        made[-1].make()
        return made[-1]

    yield make
    for one in made:
        one.remove()

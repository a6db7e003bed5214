"""How volumes look to people."""

from __future__ import annotations

from pathlib import Path

import pytest

from jeex_cli.commands import volume
from jeex_cli.runtimes.base import Volume

ROOT = Path("/home/alice/project")


def test_volumes_are_a_table_and_problems_stand_below_it() -> None:
    problem = (
        "PostgreSQL cannot use 18/docker in the volume jeex_postgres-data: it is of user 70 [DATA_OWNER]; "
        "try: docker run --rm --user 0 --entrypoint chown -v jeex_postgres-data:/v postgres:18 -R 999:999 /v/18/docker"
    )
    text = volume._text(
        [
            Volume("jeex_postgres-data", "postgres", 74_090_350, 0.0, problem),
            Volume("jeex_theirs", "", None, None),
            Volume(str(ROOT / ".jeex" / "data" / "redis"), "redis", 190, 0.0),
        ],
        ROOT,
    )
    table, below = text.split("\n\n")
    lines = table.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["NAME", "SERVICE", "SIZE"],
        ["jeex_postgres-data", "postgres", "70.7"],
        ["jeex_theirs", "-", "?"],
        [".jeex/data/redis", "redis", "190"],
    ]
    assert max(map(len, text.splitlines())) <= 80
    assert " ".join(below.split()) == f"jeex_postgres-data: {problem}"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (150 * 1024, "150 KiB"),
        (5 * 2**30, "5.0 GiB"),
        (2**60, "1048576 TiB"),
        (None, "?"),
    ],
)
def test_sizes(size: int | None, text: str) -> None:
    assert volume._size(size) == text

"""Log lines of different servers in one time line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeex_cli.errors import UsageError
from jeex_cli.ops import logs
from jeex_cli.runtimes import log_files

POSTGRES = "2026-11-24 06:11:42.700 UTC [12] LOG:  ready"
OPENBAO = "2026-11-24T06:11:42.500Z [INFO]  core: unsealed"
VALKEY = "77:M 24 Nov 2026 06:11:42.600 * Ready to accept connections tcp"
API = '{"event": "started", "timestamp": "2026-11-24T06:11:42.800000Z", "level": "info"}'


def written(tmp_path: Path, **files: list[str]) -> dict[str, Path]:
    paths = {}
    for name, lines in files.items():
        paths[name] = tmp_path / f"{name}.log"
        paths[name].write_text("".join(f"{line}\n" for line in lines))
    return paths


def test_lines_of_every_server_are_in_the_order_of_time(tmp_path: Path) -> None:
    one = written(tmp_path, postgres=[POSTGRES], vault=[OPENBAO], redis=[VALKEY], api=[API])
    found = log_files.read(one, tail=-1, since=None)
    assert [line.service for line in found] == ["vault", "redis", "postgres", "api"]


def test_a_line_without_a_time_stays_behind_the_one_before_it(tmp_path: Path) -> None:
    one = written(tmp_path, api=[API, "Traceback (most recent call last):", "  boom"], postgres=[POSTGRES])
    assert [line.text for line in log_files.read(one, tail=-1, since=None)][1:] == [
        API,
        "Traceback (most recent call last):",
        "  boom",
    ]


@pytest.mark.parametrize(("tail", "expected"), [(-1, 5000), (0, 0), (1, 1), (4999, 4999), (9000, 5000)])
def test_tail_counts_lines_of_each_service(tmp_path: Path, tail: int, expected: int) -> None:
    many = [f"{POSTGRES} {number:060}" for number in range(5000)]
    found = list(log_files.read(written(tmp_path, postgres=many), tail=tail, since=None))
    assert len(found) == expected
    assert [line.text for line in found] == many[len(many) - expected :]


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    one = written(tmp_path, postgres=[POSTGRES], vault=[OPENBAO])
    since = logs.moment("2026-11-24T06:11:42.600Z")
    assert [line.service for line in log_files.read(one, tail=-1, since=since)] == ["postgres"]


def test_a_service_that_has_not_logged_yet_is_no_error(tmp_path: Path) -> None:
    one = written(tmp_path, postgres=[POSTGRES])
    (tmp_path / "postgres.log").unlink()
    assert list(log_files.read(one, tail=-1, since=None)) == []


def test_follow_sees_new_lines_whole_and_a_replaced_file(tmp_path: Path) -> None:
    one = written(tmp_path, api=[API])
    path = tmp_path / "api.log"
    stream: Iterator[logs.Line] = log_files.follow(one, tail=10, since=None)
    assert next(stream).text == API
    with path.open("a") as file:
        file.write("half")
        file.flush()
        file.write(" a line\n")
    assert next(stream).text == "half a line"
    path.replace(tmp_path / "api.log.1")
    path.write_text("fresh\n")
    assert next(stream).text == "fresh"


@pytest.mark.parametrize("text", ["10m", "2 h", "2026-11-24", "2026-11-24T06:00:00+02:00"])
def test_moments(text: str) -> None:
    assert 0 < logs.moment(text) <= time.time() + 365 * 86_400


def test_a_moment_that_is_none_is_refused_with_examples() -> None:
    with pytest.raises(UsageError, match="yesterday") as caught:
        logs.moment("yesterday")
    assert "--since 10m" in caught.value.hint


def test_ten_minutes_ago_is_ten_minutes_ago() -> None:
    assert abs(time.time() - 600 - logs.moment("10m")) < 5


@pytest.mark.parametrize("text", ["999999999d", "0001-01-01"])
def test_a_time_before_all_calendars_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        logs.moment(text)

"""Log lines of different servers in one time line."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeex_cli.errors import NotReady, UsageError
from jeex_cli.log_entry import Entry
from jeex_cli.ops import logs
from jeex_cli.runtimes import log_files
from jeex_cli.runtimes.asked import Asked
from jeex_cli.runtimes.log_files import Source

POSTGRES = "2026-11-24 06:11:42.700 UTC [12] LOG:  ready"
OPENBAO = "2026-11-24T06:11:42.500Z [INFO]  core: unsealed"
VALKEY = "77:M 24 Nov 2026 06:11:42.600 * Ready to accept connections tcp"
API = '{"event": "started", "timestamp": "2026-11-24T06:11:42.800000Z", "level": "info"}'
ALL = Asked(tail=None)


def written(tmp_path: Path, **files: list[str]) -> list[Source]:
    sources = []
    for name, lines in files.items():
        sources.append(Source(name, tmp_path / f"{name}.log"))
        sources[-1].path.write_text("".join(f"{line}\n" for line in lines))
    return sources


def line(number: int, **more: object) -> str:
    stamp = f"2026-11-24T06:{number // 60_000:02}:{number // 1000 % 60:02}.{number % 1000:03}000Z"
    return json.dumps({"timestamp": stamp, "level": "info", "process": "api", "event": f"e{number}", **more})


@pytest.mark.parametrize("asked", [ALL, Asked(tail=10)])
def test_entries_of_every_server_are_in_the_order_of_time(tmp_path: Path, asked: Asked) -> None:
    one = written(tmp_path, postgres=[POSTGRES], vault=[OPENBAO], redis=[VALKEY], api=[API])
    assert [entry.service for entry in log_files.read(one, asked)] == ["vault", "redis", "postgres", "api"]


@pytest.mark.parametrize("asked", [ALL, Asked(tail=10)])
def test_what_says_no_time_stays_behind_the_one_before_it(tmp_path: Path, asked: Asked) -> None:
    one = written(tmp_path, api=[API, "Traceback (most recent call last):", "  boom", "ValueError: x"], postgres=[POSTGRES])
    found = [(entry.message, entry.more, entry.level) for entry in log_files.read(one, asked)]
    assert found[1:] == [
        ("started", (), "info"),
        ("Traceback (most recent call last):", ("  boom",), "error"),
        ("ValueError: x", (), "error"),
    ]


@pytest.mark.parametrize(("tail", "expected"), [(None, 5000), (0, 0), (1, 1), (4999, 4999), (9000, 5000)])
def test_tail_counts_entries_of_each_service(tmp_path: Path, tail: int | None, expected: int) -> None:
    many = [line(number, text="x" * 60) for number in range(5000)]
    found = list(log_files.read(written(tmp_path, api=many), Asked(tail)))
    assert [entry.text for entry in found] == many[len(many) - expected :]


def test_tail_counts_what_passes_the_filter(tmp_path: Path) -> None:
    many = [line(number, level="error" if number % 1000 == 0 else "info") for number in range(5000)]
    wanted = logs.Filter(level="error").compiled()
    found = list(log_files.read(written(tmp_path, api=many), Asked(2, wanted=wanted)))
    assert [entry.message for entry in found] == ["e3000", "e4000"]


def test_a_log_that_was_begun_anew_is_read_as_one_even_in_the_middle_of_a_line(tmp_path: Path) -> None:
    one = written(tmp_path, api=[line(number) for number in range(1000)])
    whole = one[0].path.read_bytes()
    for cut in (1, 65_536, len(whole) // 2, len(whole) - 1):
        (tmp_path / "api.log.1").write_bytes(whole[:cut])
        one[0].path.write_bytes(whole[cut:])
        expected = [f"e{number}" for number in range(1000)]
        assert [entry.message for entry in log_files.read(one, ALL)] == expected
        assert [entry.message for entry in log_files.read(one, Asked(tail=9999))] == expected
        assert [entry.message for entry in log_files.mentions(one[0], "e999")] == ["e999"]


@pytest.mark.parametrize("tail", [None, 5])
def test_since_and_until(tmp_path: Path, tail: int | None) -> None:
    one = written(tmp_path, postgres=[POSTGRES], vault=[OPENBAO], api=[API])
    since, until = logs.moment("2026-11-24T06:11:42.600Z"), logs.moment("2026-11-24T06:11:42.750Z")
    assert [entry.service for entry in log_files.read(one, Asked(tail, since, until))] == ["postgres"]


def test_a_service_that_has_not_logged_yet_is_no_error(tmp_path: Path) -> None:
    one = [Source("postgres", tmp_path / "postgres.log")]
    assert list(log_files.read(one, ALL)) == list(log_files.read(one, Asked(5))) == []
    assert list(log_files.mentions(one[0], "x")) == []


def test_a_log_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refused)  # root may read everything
    with pytest.raises(NotReady, match=r"postgres\.log"):
        list(log_files.read([Source("postgres", tmp_path / "postgres.log")], ALL))


def test_memory_does_not_grow_with_the_logs(tmp_path: Path) -> None:
    one = written(tmp_path, api=[line(number, text="x" * 500) for number in range(3_000)], worker=[line(5)])
    size = one[0].path.stat().st_size
    tracemalloc.start()
    try:
        count = sum(1 for _ in log_files.read(one, ALL))
        last = list(log_files.read(one, Asked(10, wanted=logs.Filter(search="e29").compiled())))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 3_001
    assert len(last) == 10
    assert peak < size


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (logs.Filter(level="warning"), ["w", "e", "f"]),
        (logs.Filter(level="critical"), ["f"]),
        (logs.Filter(tenant="acme"), ["w"]),
        (logs.Filter(search="GRÜSSE"), ["e"]),
        (logs.Filter(search="acme", level="debug"), ["w"]),
        (logs.Filter(), ["d", "w", "e", "f"]),
    ],
)
def test_filters(tmp_path: Path, chosen: logs.Filter, expected: list[str]) -> None:
    one = written(
        tmp_path,
        api=[
            json.dumps({"level": level, "event": event, **more}, ensure_ascii=False)
            for level, event, more in [
                ("debug", "d", {}),
                ("warning", "w", {"tenant": "acme"}),
                ("error", "e", {"text": "viele grüsse"}),
                ("critical", "f", {"tenant": "other"}),
            ]
        ],
    )
    assert [entry.message for entry in log_files.read(one, Asked(wanted=chosen.compiled()))] == expected


def following(sources: list[Source], **asked: int) -> Iterator[Entry]:
    return log_files.follow(sources, Asked(**asked))


def test_follow_sees_new_lines_whole_and_a_replaced_file(tmp_path: Path) -> None:
    one = written(tmp_path, api=[API])
    path = one[0].path
    stream = following(one, tail=10)
    assert next(stream).message == "started"
    with path.open("a") as file:
        file.write("half")
        file.flush()
        file.write(" a line\n")
    assert next(stream).text == "half a line"
    with path.open("a") as file:
        file.write("the last of it\n")
    path.replace(tmp_path / "api.log.1")
    path.write_text("fresh\n")
    assert [next(stream).text, next(stream).text] == ["the last of it", "fresh"]


def test_follow_misses_and_repeats_nothing_when_the_beginning_is_cut_off(tmp_path: Path) -> None:
    one = written(tmp_path, api=[line(number) for number in range(100)])
    path = one[0].path
    stream = following(one, tail=1)
    assert next(stream).message == "e99"
    for cut in (1000, 4000):  # less than was read; then more than that
        with path.open("a") as file:
            file.write(f"{line(1000 + cut)}\n")
        assert next(stream).message == f"e{1000 + cut}"
        with path.open("a") as file:
            file.write(f"{line(2000 + cut)}\n")
        whole = path.read_bytes()
        (tmp_path / "api.log.1").write_bytes(whole[:cut])
        path.write_bytes(whole[cut:])
        assert next(stream).message == f"e{2000 + cut}"


def test_mentions_are_whole_entries_each_once(tmp_path: Path) -> None:
    statement = ["2026-11-24 06:11:42.700 UTC [12] 42601 a@b [app] ERROR:  x", "\tneedle needle", "\tmore"]
    detail = "2026-11-24 06:11:42.700 UTC [12] 42601 a@b [app] STATEMENT:  SELECT needle"
    one = written(tmp_path, postgres=[POSTGRES, *statement, detail, POSTGRES, "needle"])
    found = list(log_files.mentions(one[0], "needle"))
    assert [entry.text for entry in found] == ["\n".join([*statement, detail]), "needle"]


@pytest.mark.parametrize("text", ["10m", "2 h", "2026-11-24", "2026-11-24T06:00:00+02:00"])
def test_moments(text: str) -> None:
    assert 0 < logs.moment(text) <= time.time() + 365 * 86_400


def test_a_moment_that_is_none_is_refused_with_examples() -> None:
    with pytest.raises(UsageError, match="yesterday") as caught:
        logs.moment("yesterday", "--until")
    assert "--until 10m" in caught.value.hint


def test_ten_minutes_ago_is_ten_minutes_ago() -> None:
    assert abs(time.time() - 600 - logs.moment("10m")) < 5


@pytest.mark.parametrize("text", ["999999999d", "0001-01-01"])
def test_a_time_before_all_calendars_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        logs.moment(text)

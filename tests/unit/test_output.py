"""What programs and people read."""

from __future__ import annotations

import io
import json

import pytest

from jeex_cli.errors import PortInUse
from jeex_cli.events import Step
from jeex_cli.output import Output, duration, table


def speak(**options: bool) -> Output:
    return Output(stdout=io.StringIO(), stderr=io.StringIO(), **options)


def text(stream: object) -> str:
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_json_is_one_document_on_stdout_and_nothing_on_stderr() -> None:
    output = speak(json=True)
    output.note("working")
    output.step(Step("api", "API", "done", 1.0))
    output.result({"a": (1, 2)}, "for people")
    assert json.loads(text(output.stdout)) == {"version": 1, "ok": True, "data": {"a": [1, 2]}}
    assert text(output.stderr) == ""


def test_a_json_error_carries_code_message_detail_and_hint() -> None:
    output = speak(json=True)
    output.error(PortInUse("port 1 is held", detail="why", hint="do this", data={"x": 1}))
    assert json.loads(text(output.stdout)) == {
        "version": 1,
        "ok": False,
        "error": {"code": "PORT_IN_USE", "message": "port 1 is held", "detail": "why", "hint": "do this"},
        "data": {"x": 1},
    }


def test_people_read_progress_on_stderr_and_the_answer_on_stdout() -> None:
    output = speak()
    output.step(Step("api", "API", "running"))
    output.step(Step("api", "API", "done", 1.234))
    output.result({}, "answer")
    assert text(output.stdout) == "answer\n"
    assert text(output.stderr).split() == ["✓", "API", "1.23", "s"]


def test_an_error_says_what_why_and_the_next_command() -> None:
    output = speak()
    output.error(PortInUse("port 1 is held", detail="by x", hint="kill x"))
    assert text(output.stderr) == "error: port 1 is held [PORT_IN_USE]\n  by x\ntry: kill x\n"
    assert text(output.stdout) == ""


def test_quiet_leaves_errors_alone() -> None:
    output = speak(quiet=True)
    output.step(Step("api", "API", "done", 1.0))
    output.result({}, "answer")
    assert text(output.stdout) + text(output.stderr) == ""


def test_a_terminal_without_unicode_gets_plain_marks() -> None:
    raw = io.BytesIO()
    output = Output(stdout=io.StringIO(), stderr=io.TextIOWrapper(raw, encoding="ascii"))
    output.step(Step("api", "API", "done", 1.0))
    assert raw.getvalue().startswith(b"  ok API")


def test_columns_line_up() -> None:
    assert table(("A", "B"), [["long cell", "x"], ["s", "yy"]]) == "A          B\nlong cell  x\ns          yy"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected

"""Every server's lines in one form; nothing in them passes for another entry, and no secret is shown."""

from __future__ import annotations

import io
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jeex_cli.commands import log_view
from jeex_cli.log_entry import Entry, blocks, parse, safe
from jeex_cli.output import Output
from service.core.logs import render
from service.services.authentication import compose, new_secret

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def shown(entry: Entry) -> list[str]:
    return "\n".join(log_view.lines(entry, Output(stdout=io.StringIO()), 8)).split("\n")


def test_the_services_own_lines() -> None:
    line = {
        **{"timestamp": "2026-11-24T06:11:42.800000Z", "level": "info", "process": "api", "event": "http.request"},
        **{"request_id": "one.request", "trace_id": TRACE, "span_id": "00f067aa0ba902b7", "tenant": "acme"},
        **{"method": "GET", "status": 200, "ms": 12.5},
    }
    entry = parse("api", [json.dumps(line)])
    assert (entry.at, entry.level, entry.message) == (1795500702.8, "info", "http.request")
    assert (entry.trace_id, entry.request_id, entry.job_id, entry.tenant) == (TRACE, "one.request", "", "acme")
    assert entry.seconds == 0.0125
    assert shown(entry) == [
        "06:11:42.800 api      | info  http.request method=GET status=200 ms=12.5 tenant=acme trace=4bf92f3577b3"
    ]


def test_an_exception_follows_its_message_line_by_line() -> None:
    line = {"event": "failed", "level": "error", "exception": "Traceback:\n  File x\nValueError: y", "job_id": "j-1"}
    entry = parse("worker", [json.dumps(line)], at=5.0)
    assert (entry.at, entry.job_id, entry.more) == (5.0, "j-1", ("Traceback:", "  File x", "ValueError: y"))
    assert [line[23:] for line in shown(entry)] == [" error failed", " Traceback:", "   File x", " ValueError: y"]


def test_postgresql_with_everything_that_belongs_to_a_message() -> None:
    begins = f"2026-11-24 06:11:42.700 UTC [12] 23505 v-app@jeex [jeex-api {TRACE}] "
    lines = [
        f"{begins}ERROR:  duplicate key value",
        "\tof a second line",
        f"{begins}STATEMENT:  INSERT INTO project",
        "\tVALUES ($1)",
        "2026-11-24 06:11:42.800 UTC [1] LOG:  checkpoint starting: time",
    ]
    first, second = [parse("postgres", block) for block in blocks(lines)]
    assert (first.level, first.message, first.trace_id) == ("error", "duplicate key value", TRACE)
    assert first.more == ("\tof a second line", "STATEMENT:  INSERT INTO project", "\tVALUES ($1)")
    assert first.fields == {"pid": 12, "login": "v-app@jeex", "application": "jeex-api", "sqlstate": "23505"}
    assert first.text == "\n".join(lines[:4])
    assert (second.level, second.message, second.at) == ("info", "checkpoint starting: time", 1795500702.8)


def test_a_slow_statement_says_how_long_and_the_end_of_a_transaction_whose_it_was() -> None:
    begins = "2026-11-24 06:11:42.700 UTC [12] 00000 v-app@jeex [jeex-worker] LOG:  duration: 312.500 ms  statement: "
    comment = f"/*job_id='j-1',request_id='r.1',traceparent='00-{TRACE}-00f067aa0ba902b7-01'*/ COMMIT"
    entry = parse("postgres", [begins + comment])
    assert entry.seconds == 0.3125
    assert (entry.trace_id, entry.request_id, entry.job_id) == (TRACE, "r.1", "j-1")


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("2026-11-24T06:11:42.500Z [WARN]  core: unsealed", "warning", "core: unsealed"),
        ("77:M 24 Nov 2026 06:11:42.600 # WARNING overcommit", "warning", "WARNING overcommit"),
        ("77:M 24 Nov 2026 06:11:42.600 * Ready", "info", "Ready"),
        ("2026-11-24 06:11:42.700 UTC [12] FATAL:  the database system is starting up", "critical", "the database"),
        ("2026-11-24 06:11:42.700 UTC [12] 00000 a@b [[unknown]] LOG:  x", "info", "x"),
        ("==> OpenBao server started!", "info", "==> OpenBao"),
        ("{broken", "info", "{broken"),
        ("[1, 2]", "info", "[1, 2]"),
        (
            '{"level": "WARN", "message": "from another program", "time": "2026-11-24T06:11:42.5Z"}',
            "warning",
            "from another",
        ),
        ('{"a": ' * 3000, "info", '{"a"'),
    ],
)
def test_other_forms(line: str, level: str, message: str) -> None:
    entry = parse("x", [line])
    assert entry.level == level
    assert entry.message.startswith(message)


def test_vaults_audit_log() -> None:
    line = {
        "time": "2026-11-24T06:11:42.5Z",
        "type": "response",
        "auth": {"metadata": {"role_name": "jeex-api"}},
        "request": {
            "id": "v-1",
            "operation": "update",
            "path": "transit/sign/jwt",
            "headers": {"x-request-id": ["r.1"], "traceparent": [f"00-{TRACE}-00f067aa0ba902b7-01"]},
        },
        "error": "permission denied",
    }
    entry = parse("vault", [json.dumps(line)])
    assert (entry.level, entry.message) == ("warning", "audit: update transit/sign/jwt")
    assert (entry.trace_id, entry.request_id) == (TRACE, "r.1")
    assert entry.fields["role"] == "jeex-api"


FORGED = [
    "x\n06:11:42.700 postgres | error it is all gone",
    'x\n{"event": "forged", "level": "error"}',
    "x\r\x1b[2K06:11:42.700 postgres | error it is all gone",
    "x\u2028y\u2029z\x85w\x0b\x0c",
    "\x1b]0;title\x07\x9b31m",
    "\u202eesrever\u2066",
    'x", "service": "postgres", "level": "error',
    'a=b tenant=other trace=0000 "quoted',
    "\ud800 half a character",
]


@pytest.mark.parametrize("text", FORGED)
@pytest.mark.parametrize("place", ["event", "path", "name", "tenant", "exception"])
def test_what_users_send_cannot_look_like_another_line(text: str, place: str) -> None:
    line = render(None, "info", {"event": "e", "level": "info", place: text})  # as the service writes it
    assert line.splitlines() == [line]
    entry = parse("api", [line])
    rows = shown(entry)
    assert all(row.isprintable() for row in rows)
    assert rows[0][13:22] == "api      "
    assert all(row.startswith(" " * 22 + ": ") for row in rows[1:])
    assert len(rows) == (1 if place != "exception" else 1 + len(text.split("\n")))
    data = log_view.as_data(entry)
    assert (data["service"], data["level"]) == ("api", "info")
    printed = io.StringIO()
    Output(json=True, stdout=printed).line(data, "")
    assert printed.getvalue().isascii()
    assert json.loads(printed.getvalue())["service"] == "api"


def test_a_field_cannot_look_like_two() -> None:
    line = json.dumps({"event": "e", "path": "/a status=200 tenant=other"})
    assert 'path="/a status=200 tenant=other"' in shown(parse("api", [line]))[0]


@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_lines_are_some_entries_that_can_be_shown(lines: list[str]) -> None:
    found = [parse("x", block) for block in blocks(lines)]
    assert all(row.isprintable() for entry in found for row in shown(entry))


@given(st.text())
def test_whatever_is_shown_is_one_line(text: str) -> None:
    assert safe(text).isprintable()


KEY = compose(uuid.uuid4(), uuid.uuid4(), new_secret()).reveal()
SECRET = "hunter2secret0123456789abc"
SECRETS = [
    f"GET /x?key={KEY}",
    f"postgresql://jeex_app:{SECRET}@127.0.0.1/jeex",
    f"Authorization: Bearer {SECRET}",
    f"token hvs.{SECRET}",
    f"s.{SECRET}",
    f"host=db password={SECRET} user=x",
    f"ALTER ROLE jeex_app PASSWORD '{SECRET}'",
    f'{{"client_secret": "{SECRET}"}}',
    f"eyJhbGciOiJFUzI1NiJ9.{SECRET}.{SECRET}",
]


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("form", ["message", "field", "exception", "plain", "statement", "json in json"])
def test_no_secret_is_shown(text: str, form: str) -> None:
    begins = "2026-11-24 06:11:42.700 UTC [12] 42601 a@b [app] "
    block = {
        "message": [json.dumps({"event": text})],
        "field": [json.dumps({"event": "e", "deep": [{"er": text}]})],
        "exception": [json.dumps({"event": "e", "exception": f"Traceback\nValueError: {text}"})],
        "plain": ["what", f"  {text}"],
        "statement": [f"{begins}ERROR:  x", f"{begins}STATEMENT:  {text}", f"\t{text}"],
        "json in json": [json.dumps({"event": "e", "body": json.dumps({"x": text})})],
    }[form]
    entry = parse("x", block)
    everything = json.dumps(log_view.as_data(entry)) + "\n".join(shown(entry))
    assert SECRET not in everything
    assert KEY[-20:] not in everything

"""One timeline out of what several logs say of one piece of work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from jeex_cli.errors import JeexError, UsageError
from jeex_cli.log_entry import Entry
from jeex_cli.ops.trace import trace
from jeex_cli.runtimes import log_files
from jeex_cli.runtimes.log_files import Source
from jeex_cli.session import Session

TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "4bf9ffffffffffffffffffffffffffff"


@dataclass
class Logs:
    """A session over log files: what `trace` needs of one."""

    folder: Path
    stack: object = None
    sources: list[Source] = field(default_factory=list)

    @property
    def runtime(self) -> Any:
        return self

    def mentions(self, _stack: object, text: str) -> Iterator[Entry]:
        for source in self.sources:
            yield from log_files.mentions(source, text)

    def write(self, service: str, *lines: dict[str, object] | str) -> None:
        path = self.folder / f"{service}.{len(self.sources)}.log"
        path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines))
        self.sources.append(Source(service, path))

    @property
    def session(self) -> Session:
        return cast("Session", self)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """A request that made a job, which asked Vault; and another request, whose trace begins alike."""
    one = Logs(tmp_path)
    ids = {"trace_id": TRACE, "request_id": "req-1"}
    stamp = "2026-11-24T06:11:42.{}Z"
    one.write(
        "api",
        {"timestamp": stamp.format("100"), "event": "http.request", "ms": 90.0, "status": 202, **ids},
        {"timestamp": stamp.format("150"), "event": "http.request", "trace_id": OTHER, "request_id": "req-2"},
        {"timestamp": stamp.format("160"), "event": "said", "text": f"somebody speaks of {TRACE}"},
    )
    one.write("worker", {"timestamp": stamp.format("900"), "event": "job.done", "job_id": "job-1", "trace_id": TRACE})
    one.write(
        "postgres",
        f"2026-11-24 06:11:42.050 UTC [12] 00000 a@b [jeex-api {TRACE}] LOG:  duration: 20.000 ms  statement: SELECT",
        "\t1",
    )
    headers = {"traceparent": [f"00-{TRACE}-00f067aa0ba902b7-01"]}
    asked = {"id": "v-1", "operation": "read", "path": "secret/x", "headers": headers}
    one.write(
        "vault",
        {"time": stamp.format("500"), "type": "request", "request": asked},
        {"time": stamp.format("512"), "type": "response", "request": asked},
        {"time": stamp.format("600"), "type": "request", "request": {**asked, "id": "v-2"}},
    )
    return one


@pytest.mark.parametrize(
    ("id", "kind"), [(TRACE, "trace"), ("4bf92", "trace"), ("req-1", "request"), ("job-1", "job"), ("job-", "job")]
)
def test_one_timeline_whichever_id_is_known(logs: Logs, id: str, kind: str) -> None:
    found = trace(logs.session, id)
    assert found.kind == kind
    assert (found.trace_ids, found.request_ids, found.job_ids) == ((TRACE,), ("req-1",), ("job-1",))
    assert [(one.entry.service, round(one.offset * 1000), one.seconds) for one in found.spans] == [
        ("api", 0, 0.09),  # it began before it was logged
        ("postgres", 20, 0.02),
        ("vault", 490, pytest.approx(0.012, abs=1e-6)),  # one entry: asked, and answered
        ("vault", 590, None),  # never answered
        ("worker", 890, None),
    ]
    assert found.spans[1].entry.more == ("\t1",)
    assert found.seconds == pytest.approx(0.89)


def test_an_id_that_nobody_knows(logs: Logs) -> None:
    for id in ("ffff", "nobody", "somebody"):
        with pytest.raises(JeexError, match="no log knows") as caught:
            trace(logs.session, id)
        assert (caught.value.code, caught.value.exit_code) == ("TRACE_UNKNOWN", 1)


def test_a_beginning_of_several_names_them(logs: Logs) -> None:
    for id, names in (("4bf9", (TRACE, OTHER)), ("req-", ("req-1", "req-2"))):
        with pytest.raises(UsageError) as caught:
            trace(logs.session, id)
        assert caught.value.code == "TRACE_AMBIGUOUS"
        assert all(name in caught.value.detail for name in names)


@pytest.mark.parametrize("id", ["abc", "", "a b c d", "../../etc", "x" * 129, "a\nbcd", "ünicode"])
def test_what_is_no_id_is_refused(logs: Logs, id: str) -> None:
    with pytest.raises(UsageError) as caught:
        trace(logs.session, id)
    assert caught.value.code == "TRACE_ID_INVALID"


def test_a_request_id_that_a_client_sends_again_and_again_is_all_of_them(logs: Logs) -> None:
    lines = [
        {"timestamp": f"2026-11-24T07:00:0{n}Z", "event": "e", "trace_id": f"{n}" * 32, "request_id": "same"} for n in "123"
    ]
    logs.write("api", *lines)
    assert len(trace(logs.session, "same").spans) == 3

"""OpenTelemetry: the same ids as in the logs, and nothing of it where nobody asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.service.client import Client
from tests.integration.service.collector import collecting
from tests.integration.service.conftest import make_tenant
from tests.integration.service.machine import free_port, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import Postgres, Valkey


def test_spans_have_the_ids_of_the_logs(postgres: Postgres, database: str, valkey: Valkey, tmp_path: Path) -> None:
    made = make_tenant(postgres.url("admin", database))
    with collecting() as collector:
        settings = {
            "DATABASE_URL": postgres.url("app", database),
            "REDIS_URL": valkey.url,
            "API_PORT": str(free_port()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-from=these-tests",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        api = Service("api", settings, tmp_path / "api.log")
        api.start()
        try:
            api.wait("/ready")
            until(lambda: any(line["event"] == "cache.ready" for line in api.lines()))
            client = Client(api, made.key.reveal())
            project = client.made("/projects", slug="p", name="P")["id"]
            trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
            answer = client.get(f"/projects/{project}", traceparent=f"00-{trace}-{caller}-01")
            ours = answer.headers["traceparent"].split("-")[2]
            until(lambda: any(span.span_id.hex() == ours for span in collector.spans))
            span = next(one for one in collector.spans if one.span_id.hex() == ours)
            assert (span.trace_id.hex(), span.parent_span_id.hex()) == (trace, caller)
            assert span.name == "GET /api/v1/projects/{project_id}"
            told = {one.key: one.value for one in span.attributes}
            assert told["http.response.status_code"].int_value == 200
            assert told["jeex.request_id"].string_value == answer.headers["x-request-id"]
            within = {one.name for one in collector.spans if one.parent_span_id.hex() == ours}
            assert within == {"postgresql.transaction", "redis"}
            line = next(line for line in api.lines() if line.get("trace_id") == trace)
            assert line["path"] == f"/api/v1/projects/{project}"
            # A trace of our own beginning, and a caller who does not want to be traced.
            begun = client.get("/projects").headers["traceparent"].split("-")
            until(lambda: any(span.span_id.hex() == begun[2] for span in collector.spans))
            own = next(one for one in collector.spans if one.span_id.hex() == begun[2])
            assert (own.trace_id.hex(), own.parent_span_id) == (begun[1], b"")
            client.get("/projects", traceparent=f"00-{'ab' * 16}-{caller}-00")
        finally:
            assert api.stop() == 0
        assert not [one for one in collector.spans if one.trace_id.hex() == "ab" * 16]
        assert collector.services == {"jeex-api"}
        assert all(headers["x-from"] == "these-tests" for headers in collector.headers)
        assert made.key.reveal() not in str(collector.spans)


def test_nothing_of_it_is_imported_where_nobody_asked() -> None:
    script = """
import sys
from service.commands import api, entrance, worker
from service.core.settings import load
assert entrance.traces(load({}), "api") is None
assert entrance.traces(load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}), "api") is None
found = [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_asked_for_and_not_installed_is_said(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "import runpy; sys.argv = ['service', 'api']; runpy.run_module('service', run_name='__main__')"
    )
    environ = {
        "PATH": os.defpath,
        "DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environ, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode != 0
    assert "OpenTelemetry is not installed" in done.stdout + done.stderr

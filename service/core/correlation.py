"""What ties the traces of one piece of work together: its ids, in the forms that PostgreSQL and Vault write into their logs.

The ids are those bound with `structlog.contextvars`: by the edge for a request, by the worker for a job. A request id is its
caller's choice, so whatever is not of a harmless form is left out here, whoever was to look at it before: nothing of it may
end a comment, a literal or a line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager

import structlog

_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# The headers that Vault is asked with, which its audit log shows as they are (services/vault_setup.py).
REQUEST_ID, TRACEPARENT, JOB_ID = "X-Request-Id", "Traceparent", "X-Job-Id"
HEADERS = (REQUEST_ID, TRACEPARENT, JOB_ID)


def bound(**ids: str) -> AbstractContextManager[object]:
    """A piece of work with those ids (trace_id, request_id, job_id): what is sent and logged within has them."""
    return structlog.contextvars.bound_contextvars(**{name: one for name, one in ids.items() if one})


def headers() -> dict[str, str]:
    """The ids of the work at hand as HTTP headers; none outside of a request or a job."""
    request_id, job_id, trace, span = _ids()
    found = {REQUEST_ID: request_id, JOB_ID: job_id, TRACEPARENT: trace and f"00-{trace}-{span}-01"}
    return {name: value for name, value in found.items() if value}


def begin(process: str) -> tuple[str, str]:
    """What stands before and behind BEGIN in the message that begins a transaction; nothing outside of a request or a job.

    Before it a comment in sqlcommenter's form. Behind it the trace as part of the application's name: every line that
    PostgreSQL writes about the transaction shows that, and so does pg_stat_activity. A comment in each statement would make
    each a new one to the cache of prepared statements.
    """
    request_id, job_id, trace, span = _ids()
    parts = [f"job_id='{job_id}'"] if job_id else []
    if request_id:
        parts.append(f"request_id='{request_id}'")
    if not trace:
        return f"/*{','.join(parts)}*/ " if parts else "", ""
    parts.append(f"traceparent='00-{trace}-{span}-01'")
    return f"/*{','.join(parts)}*/ ", f"; SET LOCAL application_name = '{process} {trace}'"


def _ids() -> tuple[str, str, str, str]:
    """Request, job, trace and span, "" for what there is none of."""
    bound = structlog.contextvars.get_contextvars()
    if not bound:
        return "", "", "", ""
    trace = _harmless(bound, "trace_id", _TRACE)
    span = _harmless(bound, "span_id", _SPAN) or (os.urandom(8).hex() if trace else "")
    return _harmless(bound, "request_id", _ID), _harmless(bound, "job_id", _ID), trace, span


def _harmless(bound: Mapping[str, object], name: str, form: re.Pattern[str]) -> str:
    text = str(bound.get(name) or "")
    return text if form.fullmatch(text) else ""

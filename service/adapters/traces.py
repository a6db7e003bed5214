"""OpenTelemetry, where it was asked for: spans of requests, transactions, Redis and Vault, with the ids that the logs have.

Asked for means that OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT) is set, and OTEL_SDK_DISABLED is not true. What
else the standard's variables say (headers, sampler, resource, batches) the SDK reads itself. Only then is this imported.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

# The ids that the next span is to have, for those that are known before it begins.
_NEXT: ContextVar[tuple[int, int] | None] = ContextVar("next_ids", default=None)


class Traces:
    """A provider of this process's own; nothing global is set. `process` is the service's name unless OTEL_* gives one."""

    def __init__(self, process: str, version: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.name": f"jeex-{process}", "service.version": version})
        self._provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("jeex", version)

    @contextmanager
    def span(self, name: str, **attributes: str) -> Iterator[None]:
        """See Spans. An error ends it as one, without what it says: that may be about a tenant's data."""
        with self._tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as one:
            try:
                yield
            except Exception as error:
                one.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def begin(self, name: str, *, trace_id: str, span_id: str, parent_id: str, sampled: bool) -> Request:
        """A request's own span, with ids that it has already; `parent_id` is the caller's, "" where there is none."""
        parent = context.Context()
        if parent_id:
            flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
            known = SpanContext(int(trace_id, 16), int(parent_id, 16), is_remote=True, trace_flags=flags)
            parent = trace.set_span_in_context(NonRecordingSpan(known), parent)
        _NEXT.set((int(trace_id, 16), int(span_id, 16)))
        span = self._tracer.start_span(name, parent, SpanKind.SERVER)
        _NEXT.set(None)
        return Request(span)

    def close(self) -> None:
        """Send what has not been sent. Blocks, a few seconds at most."""
        self._provider.shutdown()


class Request:
    """The span of a request, current for the task that serves it until `end`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token = context.attach(trace.set_span_in_context(span))

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        """It is over."""
        context.detach(self._token)
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class _Ids(IdGenerator):
    def generate_span_id(self) -> int:
        known = _NEXT.get()
        return known[1] if known else random.getrandbits(64) or 1  # an id is no secret

    def generate_trace_id(self) -> int:
        known = _NEXT.get()
        return known[0] if known else random.getrandbits(128) or 1


def hand_on(values: Mapping[str, str], environ: MutableMapping[str, str]) -> None:
    """Have the SDK find what stands in our own settings: it reads the environment and nothing else."""
    for name, text in values.items():
        environ.setdefault(name, text)

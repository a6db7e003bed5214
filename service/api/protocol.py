"""HTTP/1.1 as uvicorn speaks it, with the limits that it has not: on how long, and how slow, the head of a request may be.

What ends here never reaches the application; it gets its problem from here.
"""

from __future__ import annotations

import asyncio
import http
import json
from itertools import chain
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.corked import Corked

HEAD_SECONDS = 10.0  # for the head of a request, once there is no other to be served
STALL_SECONDS = 30.0  # for a client that does not read what it asked for
HEAD_LIMIT = 32 * 1024  # bytes: names and values
URL_LIMIT = 8 * 1024
FIELD_LIMIT = 100


class _Refused(Exception):
    """Status, code and detail."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._refusal: tuple[int, str, str] | None = None
        self._unserved = 0  # bytes of a head, or of a trailer, that has not ended yet
        self._deaf = False  # what has been asked is answered; nothing more is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Corked(transport, self.loop)))
        self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        served, was_head = self.cycle, self._in_head()
        held = len(served.body) if served is not None else 0
        super().data_received(data)
        cycle, growing = self.cycle, was_head and self._in_head()
        if cycle is None or cycle.response_complete:
            # Also the rest of a body that nobody reads: uvicorn's own timer stops at its first byte.
            if self._patience is None:
                self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)
        else:
            self._calm()
            growing = growing or (cycle is served and cycle.more_body and len(cycle.body) == held)
        self._unserved = self._unserved + len(data) if growing else 0
        if self._unserved > HEAD_LIMIT:
            self._refuse(*self._excess())

    def on_headers_complete(self) -> None:
        size = sum(map(len, chain.from_iterable(self.headers)))
        if len(self.url) > URL_LIMIT or len(self.headers) > FIELD_LIMIT or size > HEAD_LIMIT:
            self._refusal = self._excess()
        # The parser skips such a body and would take it for the next request.
        elif self.parser.should_upgrade() and any(
            name in (b"content-length", b"transfer-encoding") for name, _ in self.headers
        ):
            self._refusal = 400, "UPGRADE_REFUSED", "this is HTTP/1.1 only: send no Upgrade with a body"
        if self._refusal is not None:
            raise _Refused
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
        # Trailers would be added to the headers that the application has, and it would believe them.
        self.headers = []

    def send_400_response(self, msg: str) -> None:
        self._refuse(*(self._refusal or (400, "MALFORMED_REQUEST", msg)))

    def _unsupported_upgrade_warning(self) -> None:
        """Nobody needs to be warned: a server may ignore the wish."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _in_head(self) -> bool:
        # uvicorn adds the method when the head is complete.
        return self.scope is None or "method" not in self.scope

    def _excess(self) -> tuple[int, str, str]:
        if self.scope is not None and len(self.url) > URL_LIMIT:
            return 414, "URL_TOO_LONG", f"the URL is longer than {URL_LIMIT} bytes"
        return 431, "HEADERS_TOO_LARGE", f"the headers are more than {FIELD_LIMIT}, or longer than {HEAD_LIMIT} bytes"

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if self.scope is None or not self._in_head():
            self.transport.close()  # nothing has been asked
        else:
            self._refuse(408, "HEADERS_TIMEOUT", f"the headers did not arrive within {HEAD_SECONDS:g} s")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        if self.transport.is_closing():
            return
        if (last := self._whole()) is not None:
            self._deaf = True
            last.keep_alive = False  # uvicorn closes once it is answered
            return
        if self._answerable():
            self.transport.write(_problem(status, code, detail))
        self.transport.close()

    def _whole(self) -> RequestResponseCycle | None:
        """The last request that has come, if all of it has and it is still to be answered: it is owed its answer, whatever
        follows it."""
        cycle = self.cycle
        return None if cycle is None or cycle.response_complete or cycle.more_body else cycle

    def _answerable(self) -> bool:
        """Whether an answer would be taken for one to what is refused, and for nothing else."""
        cycle = self.cycle
        if cycle is None:
            return True
        if cycle.response_complete:
            return not cycle.more_body  # else what is refused has been answered
        return not cycle.response_started and not self.pipeline  # else it follows what is being served


def _problem(status: int, code: str, detail: str) -> bytes:
    title = http.HTTPStatus(status).phrase
    kind = f"urn:jeex:problem:{code.lower().replace('_', '-')}"
    body = json.dumps({"type": kind, "title": title, "status": status, "detail": detail, "code": code}).encode()
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
        b"x-content-type-options: nosniff\r\ncontent-length: %d\r\n\r\n%b" % (status, title.encode(), len(body), body)
    )

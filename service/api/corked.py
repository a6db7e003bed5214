"""A transport that sends the head of a response together with its body."""

from __future__ import annotations

import asyncio
from typing import Any


class Corked:
    """Holds what is written until the next write, or until the loop has nothing else to do: nobody waits for it.

    uvicorn writes a response's head and its body one right after the other. Each would be a system call and a packet, and a
    system call is the dearest part of a small response.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send `data`, at the latest when the callbacks that are due have run."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        elif data:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Send what is held, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            if not self._transport.is_closing():
                self._transport.write(held)

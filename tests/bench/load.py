"""A client that costs little, in a process of its own: `python -m tests.bench.load PORT CONNECTIONS REQUESTS < lines`.

Standard input is one JSON object a line: {"method", "path", "body", "headers"}; they are sent in turn, from the first again
after the last. Every answer must be a success. Prints {"seconds", "p50"} (of one request, in seconds).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator


def message(line: dict[str, object]) -> bytes:
    body = json.dumps(line["body"]).encode() if line.get("body") is not None else b""
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(body)), "Content-Type": "application/json"}
    headers |= line.get("headers") or {}  # type: ignore[operator]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{line['method']} {line['path']} HTTP/1.1\r\n{head}\r\n".encode() + body


async def client(port: int, messages: Iterator[bytes], requests: int, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(requests):
        began = time.perf_counter()
        writer.write(next(messages))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        start = head.index(b"content-length:") + 15
        body = await reader.readexactly(int(head[start : head.index(b"\r", start)]))
        times.append(time.perf_counter() - began)
        if not head.startswith((b"http/1.1 200", b"http/1.1 201")):
            raise SystemExit(f"not a success: {head!r} {body!r}")
    writer.close()
    await writer.wait_closed()


async def main(port: int, connections: int, requests: int) -> None:
    messages = itertools.cycle([message(json.loads(line)) for line in sys.stdin])
    times: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(client(port, messages, requests // connections, times) for _ in range(connections)))
    print(json.dumps({"seconds": time.perf_counter() - began, "p50": statistics.median(times)}))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))

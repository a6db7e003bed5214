"""Ports, processes and HTTP, for the servers of the tests."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def free_port() -> int:
    """A port below those that the kernel gives to outgoing connections; no other worker of pytest picks it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(range(20_000 + worker * 1_000, 21_000 + worker * 1_000), 1_000):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def until(what: Callable[[], Any], *, seconds: float = 15.0, pause: float = 0.02) -> Any:
    """The first true value of `what()`."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true within {seconds} s")
        time.sleep(pause)


def answers(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def stop(process: subprocess.Popen[Any] | None, how: signal.Signals = signal.SIGTERM) -> None:
    if process is not None and process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def as_unprivileged() -> list[str]:
    """PostgreSQL refuses to be root; in a user namespace it does not see that it is."""
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []


def request(
    method: str, url: str, data: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    """Status, JSON (or text) and headers; status 0 when nothing answers."""
    body = None if data is None else json.dumps(data).encode()
    asked = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return answer.status, _content(answer.read()), _lower(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _content(error.read()), _lower(error.headers)
    except OSError:
        return 0, None, {}


def _content(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def wheel(package: str) -> Path:
    """The folder of a wheel, without importing it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is missing: pip install 'jeex[embedded]'"
    return Path(next(iter(spec.submodule_search_locations)))

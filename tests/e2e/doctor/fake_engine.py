"""An engine that is none: it says of itself what it is told to, where no Docker is needed to see what doctor makes of it."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

_VERSION = re.compile(r"^/v\d\.\d+")


@contextmanager
def fake_engine(at: Path, answers: Mapping[str, Any]) -> Iterator[str]:
    """A socket at `at`, as DOCKER_HOST has it. `answers` are by path, without query and version; 404 for any other."""
    plain: dict[str, Any] = {
        "/version": {"ApiVersion": "1.51", "MinAPIVersion": "1.24", "Components": [{"Name": "Engine"}]},
        "/info": {"OSType": "linux", "MemTotal": 8 * 1000**3, "Name": "elsewhere", "DockerRootDir": "/var/lib/docker"},
        "/containers/json": [],
        "/images/json": [],
        "/volumes": {"Volumes": []},
        "/system/df": {"BuildCache": None},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = _VERSION.sub("", self.path.partition("?")[0])
            found = {**plain, **answers}.get(path)
            if path == "/info":
                found = {"SystemTime": datetime.now(UTC).isoformat(), **(found or {})}
            body = json.dumps({"message": "No such image"} if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Nobody reads it."""

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        request_queue_size = 64  # all looks ask at once

    with Server(str(at), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"unix://{at}"
        finally:
            server.shutdown()
            thread.join()

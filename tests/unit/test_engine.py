"""What keeps a Docker engine from being used, in words."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from jeex_cli.errors import NotReady
from jeex_cli.runtimes import engine, engine_socket

ENVIRON = {"PATH": "/nowhere", "HOME": "/nowhere", "USER": "alice"}


class Engine:
    """An engine that says of itself what it is told to."""

    def __init__(self, version: dict[str, Any] | None = None, **info: object) -> None:
        self._version = version or {}
        self._info = {"OSType": "linux", "MemTotal": 8 * 1000**3, **info}

    def version(self) -> dict[str, Any]:
        return self._version

    def info(self) -> dict[str, Any]:
        return self._info


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Engine({"Components": [{"Name": "Podman Engine"}]}), "PODMAN"),
        (Engine(OSType="windows"), "ENGINE_WINDOWS"),
        (Engine(MemTotal=1_000_000_000), "ENGINE_MEMORY"),
    ],
)
def test_an_engine_that_will_not_do(found: Any, code: str) -> None:
    with pytest.raises(NotReady) as caught:
        engine.check(found)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_machine_without_docker_s_program() -> None:
    with pytest.raises(NotReady) as caught:
        engine.compose_version(ENVIRON)
    assert caught.value.code == "DOCKER_MISSING"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError(13, "Permission denied"), "ENGINE_PERMISSION"),
        (ConnectionRefusedError(111, "Connection refused"), "ENGINE_DOWN"),
        (FileNotFoundError(2, "No such file or directory"), "ENGINE_DOWN"),
        (TimeoutError(), "ENGINE_DOWN"),
    ],
)
def test_an_engine_that_cannot_be_asked(error: OSError, code: str) -> None:
    found = engine.unusable(error, ENVIRON)
    assert (found.code, found.exit_code) == (code, 3)
    assert "jeex up --runtime embedded" in found.hint
    assert ("usermod -aG docker alice" in found.hint) is (code == "ENGINE_PERMISSION")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"nonsense", "does not speak HTTP"),
        (b"", "does not speak HTTP"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "does not answer as a Docker engine does"),
        (b"HTTP/1.0 500 Oops\r\n\r\n{}", "does not answer as a Docker engine does"),
    ],
)
def test_whatever_listens_there_is_no_crash(tmp_path: Path, answer: bytes, complaint: str) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(answer)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(OSError, match=complaint):
            engine_socket.inspected(path, ["a=b"])
        thread.join()

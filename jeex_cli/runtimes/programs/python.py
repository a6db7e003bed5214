"""The platform's own processes: `python -m service ...` in the interpreter that runs jeex."""

from __future__ import annotations

import json
import signal
import sys

from jeex_cli.probe import HOST
from jeex_cli.proc import Process
from jeex_cli.project import private_folder, write_private
from jeex_cli.runtimes.programs.base import Launch, Place
from jeex_cli.stack import Service

_RUN = "/run/jeex"  # what containers share with each other while they run; here that is .jeex/run


class Python:
    """Settings go through a file that only this user can read: a process's environment is easier to come by."""

    def check(self, service: Service, place: Place) -> None:
        """Nothing can be missing: the service is part of this installation."""

    def prepare(self, service: Service, place: Place) -> Launch:
        """Write the settings file. Containers listen on every address, processes of this machine on loopback alone."""
        settings = self.settings(service, place)
        text = json.dumps(settings, indent=2)
        path = place.project.run / f"{service.name}.settings.json"
        write_private(path, text)
        # -P: a folder named `service` where the user happens to stand must not become ours.
        argv = (sys.executable, "-P", *service.command[1:])
        return Launch(argv, private_folder(place.project.folder), {**place.base_env, "SETTINGS_FILE": str(path)}, text)

    def settings(self, service: Service, place: Place) -> dict[str, str]:
        """Its variables as a process of this machine is given them."""
        environment = place.stack.host_environment(service.name)
        here = str(place.project.run)
        return {
            name: HOST if text == "0.0.0.0" else f"{here}{text.removeprefix(_RUN)}" if text.startswith(f"{_RUN}/") else text  # noqa: S104
            for name, text in environment.items()
        }

    def clear(self, service: Service, place: Place) -> None:
        """Nothing to do: it recovers by itself."""

    def settle(self, service: Service, place: Place) -> None:
        """Nothing to do."""

    def stop(self, process: Process, service: Service, place: Place) -> None:
        """It stops taking requests, finishes those it has, and leaves."""
        process.signal(signal.SIGTERM)

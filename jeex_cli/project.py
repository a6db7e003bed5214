"""Where a project keeps things: its folder, its `.env` and its `.jeex/`, and the files that jeex itself brings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jeex_cli.errors import ConfigError, NotReady

COMPOSE_FILE = "compose.yaml"
STATE_FOLDER = ".jeex"
_LOG_LIMIT = 20 * 1024 * 1024  # bytes

_PACKAGE = Path(__file__).parent


def bundled(name: str) -> Path:
    """A file or folder that ships with jeex (`compose.yaml`, `templates`, `.env.example`).

    In a checkout these stand at the top level; a wheel carries copies under `jeex_cli/bundle`.
    """
    in_wheel = _PACKAGE / "bundle" / name
    return in_wheel if in_wheel.exists() else _PACKAGE.parent / name


@dataclass(frozen=True, slots=True)
class Project:
    """One stack's folder. Two projects share nothing."""

    root: Path

    @property
    def env_file(self) -> Path:
        """Settings and generated secrets, mode 0600."""
        return self.root / ".env"

    @property
    def folder(self) -> Path:
        """Everything that jeex writes besides `.env`, mode 0700."""
        return self.root / STATE_FOLDER

    @property
    def state_file(self) -> Path:
        """What is remembered between commands: the runtime, and ports given on the command line."""
        return self.folder / "state.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one command that changes the stack."""
        return self.folder / "lock"

    @property
    def data(self) -> Path:
        """The servers' data, one folder a service."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        """One `<service>.log` each."""
        return self.folder / "logs"

    @property
    def run(self) -> Path:
        """Process records and the settings files of running services."""
        return self.folder / "run"

    @property
    def compose_file(self) -> Path:
        """The project's own compose.yaml, or the one that ships with jeex."""
        own = self.root / COMPOSE_FILE
        return own if own.exists() else bundled(COMPOSE_FILE)


def find(start: Path) -> Project:
    """The project that `start` lies in: the nearest folder upwards with a `.jeex/` or a jeex compose.yaml, else `start`.

    Raises ConfigError where `start` holds a compose.yaml of something else.
    """
    for folder in (start, *start.parents):
        if _has_state(folder) or _is_ours(folder / COMPOSE_FILE):
            return Project(folder)
    if (start / COMPOSE_FILE).exists():
        raise ConfigError(
            f"{start / COMPOSE_FILE} is not a jeex stack: none of its services has an `x-jeex` key",
            code="NOT_A_JEEX_STACK",
            hint="run jeex in an empty folder, or name one: jeex --project DIR up",
        )
    return Project(start)


def _has_state(folder: Path) -> bool:
    try:
        return (folder / STATE_FOLDER / "state.json").exists()
    except PermissionError:
        return True  # root's, left by sudo: a project all the same, and who may not look into it is told so


def _is_ours(compose_file: Path) -> bool:
    try:
        return b"x-jeex" in compose_file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return False


def private_folder(folder: Path) -> Path:
    """Make `folder` (and its parents) readable by this user alone, or say why that cannot be. Idempotent."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from error
    return folder


def write_private(path: Path, text: str, *, durable: bool = False) -> None:
    """Replace `path` with `text` at once, mode 0600 from the first byte. A crash of jeex leaves the old file or the new.

    `durable` holds that for a power cut too; it costs a write to the disk, and what every `up` makes anew can do without.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        private_folder(path.parent)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(descriptor)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise not_writable(path, error) from error


def set_aside(log: Path) -> None:
    """Begin a log anew once it has grown long; one such is kept. For when whoever writes to it does not run."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def not_writable(path: Path, error: OSError) -> NotReady:
    """The error for a file or folder that cannot be written: full, read-only or not ours."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NotReady(
            f"no space left to write {path}",
            code="DISK_FULL",
            detail=str(error),
            hint="free some space (df -h shows where it went), then run the same command again",
        )
    return NotReady(
        f"cannot write {path}: {error.strerror}",
        code="NOT_WRITABLE",
        hint=f"make it yours (sudo chown -R $(id -un) '{path.parent}'), or use another folder: jeex --project DIR",
    )

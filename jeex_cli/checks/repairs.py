"""What `--fix` can do, as data: a check proposes it, the plan shows it, ops/doctor/repairs.py carries it out.

`text` says it to the user, as a command where there is one. A repair is safe: it loses no data, ends nothing that is not
ours, and doing it twice is doing it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StartStack:
    """Start what is down."""

    names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(["jeex up", *self.names])


@dataclass(frozen=True, slots=True)
class RestartServices:
    """Stop and start services, and have everything else in order: first (`up_first`) where they need what `up` makes."""

    names: tuple[str, ...]
    up_first: bool = False

    @property
    def text(self) -> str:
        restart = " ".join(["jeex restart", *self.names])
        return f"jeex up; {restart}" if self.up_first else f"{restart}; jeex up"


@dataclass(frozen=True, slots=True)
class MigrateDatabase:
    """Bring the database to the newest revision."""

    @property
    def text(self) -> str:
        return "jeex db migrate"


@dataclass(frozen=True, slots=True)
class OpenVault:
    """Unseal Vault with the keys that are kept."""

    @property
    def text(self) -> str:
        return "jeex secrets unseal"


@dataclass(frozen=True, slots=True)
class FinishSwitch:
    """Clear away what a switch of runtimes that was killed has left."""

    @property
    def text(self) -> str:
        return "clear away what the broken-off switch of runtimes has left"


@dataclass(frozen=True, slots=True)
class SetMode:
    """Give files another mode: path and mode of each."""

    modes: tuple[tuple[Path, int], ...]

    @property
    def text(self) -> str:
        return "; ".join(f"chmod {mode:04o} '{path}'" for path, mode in self.modes)


@dataclass(frozen=True, slots=True)
class SetOwner:
    """Give folders, with everything in them, to an account. For root alone."""

    paths: tuple[Path, ...]
    user: int
    group: int

    @property
    def text(self) -> str:
        return f"chown -R {self.user}:{self.group} " + " ".join(f"'{path}'" for path in self.paths)


@dataclass(frozen=True, slots=True)
class RemoveFiles:
    """Delete files that hold nothing of value."""

    paths: tuple[Path, ...]

    @property
    def text(self) -> str:
        return "rm " + " ".join(f"'{path}'" for path in self.paths)


@dataclass(frozen=True, slots=True)
class FillSettings:
    """Give `.env` what it lacks: random secrets."""

    @property
    def text(self) -> str:
        return "fill .env with the random secrets that it lacks"


@dataclass(frozen=True, slots=True)
class ReplaceSecrets:
    """Give secrets in `.env` new random values; for those that no data was made with."""

    path: Path
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"new random values in {self.path.name} for {', '.join(self.names)} (then: jeex up)"


@dataclass(frozen=True, slots=True)
class RenameVariables:
    """Correct the names of variables in `.env`: old and new name of each. Values stay."""

    path: Path
    names: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return f"in {self.path.name}: " + ", ".join(f"{old} becomes {new}" for old, new in self.names)


@dataclass(frozen=True, slots=True)
class AppendLine:
    """Add a line to the end of a text file, which is made where there is none."""

    path: Path
    line: str

    @property
    def text(self) -> str:
        return f"add the line {self.line!r} to {self.path}"


@dataclass(frozen=True, slots=True)
class EndProcesses:
    """End processes: id, start (clock ticks since boot, so that no recycled id is hit) and command of each."""

    processes: tuple[tuple[int, int, str], ...]

    @property
    def text(self) -> str:
        return "end " + ", ".join(f"pid {pid} ({command[:40]})" for pid, _, command in self.processes)


@dataclass(frozen=True, slots=True)
class RemoveContainers:
    """Remove containers that belong to no service any more, by id; their names are for people."""

    ids: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        return "docker rm -f " + " ".join(self.names)


@dataclass(frozen=True, slots=True)
class RemoveImages:
    """Remove images that were replaced, by id."""

    ids: tuple[str, ...]

    @property
    def text(self) -> str:
        return "docker image rm " + " ".join(one.removeprefix("sha256:")[:12] for one in self.ids)


@dataclass(frozen=True, slots=True)
class MovePorts:
    """Give services free ports of this project's block, remembered from then on."""

    services: tuple[str, ...]

    @property
    def text(self) -> str:
        return "move " + ", ".join(self.services) + " to a free port of this project's block"


@dataclass(frozen=True, slots=True)
class SetInRedis:
    """Set what the running Redis should have been started with: name and value of each."""

    values: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return "; ".join(f"CONFIG SET {name} {value}" for name, value in self.values)


@dataclass(frozen=True, slots=True)
class SetPasswords:
    """Give roles of PostgreSQL's the passwords that `.env` has: role and variable of each."""

    passwords: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return "give " + ", ".join(f"{role} the password {name}" for role, name in self.passwords) + " of .env"


@dataclass(frozen=True, slots=True)
class RunSql:
    """Run statements in the stack's database, as the superuser, each by itself."""

    statements: tuple[str, ...]

    @property
    def text(self) -> str:
        return "; ".join(self.statements)


Repair = (
    StartStack
    | RestartServices
    | MigrateDatabase
    | OpenVault
    | FinishSwitch
    | SetMode
    | SetOwner
    | RemoveFiles
    | FillSettings
    | ReplaceSecrets
    | RenameVariables
    | AppendLine
    | EndProcesses
    | RemoveContainers
    | RemoveImages
    | MovePorts
    | SetInRedis
    | SetPasswords
    | RunSql
)

"""What one command works with: the project, its settings, its stack and a place to print. Built once, at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jeex_cli import checkouts, dotenv, project, settings, stack, state
from jeex_cli.errors import ConfigError
from jeex_cli.output import Output
from jeex_cli.project import Project
from jeex_cli.settings import Settings
from jeex_cli.stack import Stack
from jeex_cli.state import State

if TYPE_CHECKING:
    from jeex_cli.runtimes.base import Runtime
    from jeex_cli.runtimes.pick import Choice
    from jeex_cli.runtimes.programs.base import Place


@dataclass(frozen=True)
class Session:
    """`flags` are the settings that the command line gave, by variable name. What is not asked for is not read."""

    project: Project
    output: Output
    environ: Mapping[str, str]
    flags: Mapping[str, str]
    trace_id: str = ""  # of this command, for the logs of what it asks
    forced: str | None = None  # a runtime's name, where the one that was chosen turned out not to work

    @cached_property
    def state(self) -> State:
        """What earlier commands remembered."""
        return state.load(self.project)

    @cached_property
    def project_file(self) -> dict[str, str]:
        """The variables of `.env`; empty where there is none."""
        path = self.project.env_file
        try:
            text = path.read_bytes().decode("utf-8")  # not read_text: a line end inside quotes belongs to the value
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {path}: {error}", hint=f"look at it: head '{path}'") from error
        return dotenv.parse(text, source=str(path), environ=self.environ)

    @cached_property
    def settings(self) -> Settings:
        """Every setting, merged."""
        defaults = stack.variables(self.project.compose_file)
        return settings.resolve(
            flags=self.flags,
            environ=self.environ,
            remembered=self.state.variables,
            project_file=self.project_file,
            defaults={name: text for name, text in defaults.items() if text is not None and "$" not in text},
            block=self._block_ports(defaults),
            moved=self.state.moved,
            tenant=self.state.tenant,
        )

    @cached_property
    def moved(self) -> dict[str, int]:
        """The port that was asked for, by service, for those that have another one because it was taken."""
        asked = {got: wanted for name, (wanted, got) in self.state.moved.items() if self._has(name, got)}
        return {one.name: int(asked[str(one.host_port)]) for one in self.stack.services if str(one.host_port) in asked}

    def _has(self, name: str, text: str) -> bool:
        return name in self.settings.values and self.settings.values[name].text == text

    @cached_property
    def block(self) -> int:
        """The first port of those that this checkout owns, or would be given by its first `up`."""
        if self.state.block is not None:
            return self.state.block
        return checkouts.block_for(checkouts.known(checkouts.registry(self.environ)), self.project.root)

    def _block_ports(self, defaults: Mapping[str, str | None]) -> dict[str, str]:
        """The ports of this checkout's block by variable; none for the first block, for those are the defaults."""
        if self.block == checkouts.FIRST:
            return {}
        offsets = {
            name: int(text) - checkouts.FIRST
            for name, text in defaults.items()
            if name.endswith("_PORT") and text is not None and text.isdigit()
        }
        return {name: str(self.block + offset) for name, offset in offsets.items() if 0 <= offset < checkouts.SIZE}

    @cached_property
    def stack(self) -> Stack:
        """The stack that compose.yaml and the settings describe."""
        variables = {**self.environ, **self.settings.variables}
        return stack.load(self.project.compose_file, variables, self.settings.profiles)

    @cached_property
    def runtime(self) -> Runtime:
        """What runs the stack."""
        from jeex_cli.runtimes import pick

        return pick.made(self.place, self.choice.name)

    @cached_property
    def choice(self) -> Choice:
        """Which runtime that is, and why."""
        from jeex_cli.runtimes import pick

        if self.forced is not None:
            return pick.Choice(self.forced, "the other one does not work here")
        return pick.choose(self.place, self.state.runtime)

    @cached_property
    def place(self) -> Place:
        """Where the services run."""
        from jeex_cli.runtimes.programs.base import Place

        return Place(self.project, self.stack, self.settings, self.environ)

    def anew(self) -> Session:
        """The same session with nothing read yet: for after a lock was taken, or a file was written."""
        return replace(self)

    @property
    def timeout(self) -> float:
        """Seconds that the command may take."""
        return self.settings.timeout


def open_session(
    *, folder: str | None, flags: Mapping[str, str], environ: Mapping[str, str], output: Output, cwd: Path
) -> Session:
    """The session for `folder` (a path given by the user) or for the project that `cwd` lies in.

    Raises ConfigError where a given folder does not exist.
    """
    if folder is None:
        return Session(project.find(cwd), output, environ, flags)
    root = (cwd / Path(folder).expanduser()).resolve()
    if not root.is_dir():
        raise ConfigError(f"there is no folder {root}", code="NO_SUCH_FOLDER", hint=f"make it first: mkdir -p '{root}'")
    return Session(Project(root), output, environ, flags)

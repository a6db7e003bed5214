"""Reads the project's files, each for itself: one that cannot be read does not hide the others."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from jeex_cli import checkouts, proc, stack, state
from jeex_cli.checks.configuration import Configuration, Git
from jeex_cli.environment_file import BOUND_TO_DATA
from jeex_cli.errors import JeexError
from jeex_cli.ops import switch_record
from jeex_cli.session import Session
from jeex_cli.settings import DEFAULTS, GENERATED, SECRETS, SWITCHES


def look(session: Session) -> Configuration:
    """The facts of checks/configuration.py."""
    project = session.project
    env_error = _error(lambda: session.project_file)
    state_error = _error(lambda: session.state)
    compose_error = _error(lambda: stack.variables(project.compose_file))
    settings_error = None
    if not (env_error or state_error or compose_error):
        settings_error = _error(lambda: session.settings)
        compose_error = None if settings_error else _error(lambda: session.stack)
    named = {} if compose_error else stack.variables(project.compose_file)
    git, top = _git(project.env_file, session)
    return Configuration(
        env_file=project.env_file,
        env_mode=_mode(project.env_file),
        env_error=env_error,
        compose_error=compose_error,
        state_error=state_error,
        settings_error=settings_error,
        state_file=project.state_file,
        written={} if env_error else session.project_file,
        given=frozenset(name for name in session.environ if name.startswith("JEEX_")),
        known=frozenset([*named, *DEFAULTS, *SWITCHES, *SECRETS, *GENERATED]),
        used=state_error is not None or project.state_file.exists(),
        replaceable=_replaceable(session, broken=bool(state_error or env_error)),
        git=git,
        git_top=top,
        copies=() if env_error else _copies(session),
        broken_switch=os.path.exists(switch_record.folder(project)) and not state.busy(project),  # noqa: PTH110 - False where closed
    )


def _error(read: Callable[[], object]) -> JeexError | None:
    try:
        read()
    except JeexError as error:
        return error
    return None


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _replaceable(session: Session, *, broken: bool) -> frozenset[str]:
    """The secrets that may be made anew. Docker's PostgreSQL sets its roles up once; without Docker every `up` does."""
    if broken:
        return frozenset()
    has_data = (session.project.data / "postgres" / "PG_VERSION").exists()
    if session.state.runtime == "compose":
        return frozenset()
    return frozenset(name for name in SECRETS if not has_data or name not in BOUND_TO_DATA)


def _copies(session: Session) -> tuple[Path, ...]:
    """Other checkouts of this user's with the same instance, or with the same name where that counts: in Docker."""
    instance = session.project_file.get("JEEX_INSTANCE")
    try:
        name = session.stack.project if session.choice.name == "compose" else ""
    except JeexError:
        name = ""
    others = checkouts.known(checkouts.registry(session.environ))
    return tuple(
        one.root
        for one in others
        if one.root != session.project.root and ((name and one.name == name) or (instance and one.instance == instance))
    )


def _git(env_file: Path, session: Session) -> tuple[Git, Path | None]:
    """Whether git has or would take the file, and the top of its work tree."""
    top = next((one for one in env_file.parents if (one / ".git").exists()), None)
    if top is None:
        return "none", None
    if shutil.which("git", path=session.environ.get("PATH")) is None:
        return "unknown", top

    def git(*arguments: str) -> int:
        argv = ["git", "-c", f"safe.directory={top}", "-C", str(env_file.parent), *arguments, env_file.name]
        env = {name: text for name, text in session.environ.items() if not name.startswith("GIT_")}
        return proc.run(argv, env=env, cwd=env_file.parent, timeout=2).returncode

    if git("ls-files", "--error-unmatch", "--") == 0:
        return "tracked", top
    asked = git("check-ignore", "--quiet", "--")
    return {0: ("ignored", top), 1: ("open", top)}.get(asked, ("unknown", top))  # type: ignore[return-value]

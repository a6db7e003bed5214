"""What is remembered between commands, in `.jeex/state.json`, and the lock that keeps two commands apart."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from jeex_cli.errors import NotReady, StateError, TimedOut
from jeex_cli.project import Project, not_writable, private_folder, write_private

_VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """`runtime` is what `up` chose; `variables` are the JEEX_ values it was given in the environment.

    `block` is the first port of those that this checkout owns, None before its first `up`. `moved` are the ports that were
    taken: by variable the one that was asked for and the one that the service got. Both outlive `down`, and so does
    `tenant`, the one that commands mean where none is named.
    """

    runtime: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    block: int | None = None
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tenant: str | None = None


def load(project: Project) -> State:
    """The remembered state, empty where there is none.

    Raises StateError on a file that jeex did not write, NotReady on one that this user may not read.
    """
    try:
        text = project.state_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return State()
    except PermissionError as error:
        raise NotReady(
            f"this user may not read {project.state_file}",
            code="NOT_READABLE",
            hint=f"make it yours: sudo chown -R $(id -un) '{project.folder}'",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _corrupt(project, str(error)) from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _corrupt(project, f"not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise _corrupt(project, f'expected an object with "version": {_VERSION}')
    runtime, variables = document.get("runtime"), document.get("variables", {})
    if not (runtime is None or isinstance(runtime, str)) or not isinstance(variables, dict):
        raise _corrupt(project, "`runtime` must be a text and `variables` an object")
    if not all(isinstance(value, str) for value in variables.values()):
        raise _corrupt(project, "every one of `variables` must be a text")
    block, moved = document.get("block"), document.get("moved", {})
    if not (block is None or isinstance(block, int)) or not isinstance(moved, dict):
        raise _corrupt(project, "`block` must be a number and `moved` an object")
    if not all(isinstance(two, list) and len(two) == 2 and all(str(one).isdigit() for one in two) for two in moved.values()):
        raise _corrupt(project, "every one of `moved` must be two ports")
    tenant = document.get("tenant")
    if not (tenant is None or isinstance(tenant, str)):
        raise _corrupt(project, "`tenant` must be a text")
    moves = {name: (str(two[0]), str(two[1])) for name, two in moved.items()}
    return State(runtime, variables, block, moves, tenant)


def save(project: Project, state: State) -> None:
    """Remember `state`."""
    document = {
        "version": _VERSION,
        "runtime": state.runtime,
        "variables": dict(state.variables),
        "block": state.block,
        "moved": {name: list(two) for name, two in state.moved.items()},
        "tenant": state.tenant,
    }
    write_private(project.state_file, json.dumps(document, indent=2) + "\n", durable=True)


def _corrupt(project: Project, why: str) -> StateError:
    return StateError(
        f"{project.state_file} is not what jeex wrote there: {why}",
        hint=f"delete it (it holds only the choice of runtime and ports, no data): rm '{project.state_file}'",
    )


@contextmanager
def locked(project: Project, *, timeout: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the project alone. Waits up to `timeout` seconds; `waiting` is told once who holds it.

    The kernel drops the lock with its process, so a killed command leaves none behind. Children do not inherit it.
    """
    private_folder(project.folder)
    try:
        descriptor = os.open(project.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise not_writable(project.lock_file, error) from error
    try:
        _acquire(descriptor, deadline=time.monotonic() + timeout, waiting=waiting)
        try:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            raise not_writable(project.lock_file, error) from error
        yield
    finally:
        os.close(descriptor)


def busy(project: Project) -> bool:
    """Whether some command is changing the stack at this moment."""
    try:
        descriptor = os.open(project.lock_file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, *, deadline: float, waiting: Callable[[str], None]) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            if time.monotonic() >= deadline:
                raise TimedOut(
                    f"another jeex command (pid {holder}) is still working on this project",
                    code="LOCKED",
                    hint="wait for it, or give this command more time: --timeout SECONDS",
                ) from None
            if not told:
                waiting(f"another jeex command (pid {holder}) is working here; waiting for it")
                told = True
            time.sleep(0.05)
        else:
            return

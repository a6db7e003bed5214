"""Carrying out what checks propose."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from jeex_cli import environment_file, proc, state
from jeex_cli.checks import repairs
from jeex_cli.errors import JeexError, NotReady
from jeex_cli.ops.doctor import repair_docker, repair_servers
from jeex_cli.project import not_writable, write_private
from jeex_cli.session import Session

_GRACE = 5.0  # seconds that a process gets to end


def carry_out(session: Session, repair: repairs.Repair) -> None:
    """Do it. Raises JeexError where it cannot be done."""
    try:
        HOW[type(repair)](session, repair)
    except OSError as error:
        raise _not_done(repair, error) from error


def _not_done(repair: repairs.Repair, error: OSError) -> NotReady:
    from pathlib import Path

    if error.filename:
        return not_writable(Path(os.fsdecode(error.filename)), error)
    return NotReady(f"could not {repair.text}: {error.strerror}")


def _start(session: Session, repair: repairs.StartStack) -> None:
    from jeex_cli.ops import lifecycle

    lifecycle.up(session, repair.names)


def _restart(session: Session, repair: repairs.RestartServices) -> None:
    from jeex_cli.ops import lifecycle

    if repair.up_first:
        lifecycle.up(session)
        lifecycle.restart(session.anew(), repair.names)
    else:
        lifecycle.restart(session, repair.names)
        lifecycle.up(session.anew())


def _migrate(session: Session, _repair: repairs.MigrateDatabase) -> None:
    from jeex_cli.ops import migrating

    migrating.migrate(session)


def _open_vault(session: Session, _repair: repairs.OpenVault) -> None:
    from jeex_cli.ops import vault_seal

    vault_seal.unseal(session)


def _finish_switch(session: Session, _repair: repairs.FinishSwitch) -> None:
    from jeex_cli.ops import switch

    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        switch.recover(session.anew())


def _set_mode(_session: Session, repair: repairs.SetMode) -> None:
    for path, mode in repair.modes:
        path.chmod(mode, follow_symlinks=True)


def _set_owner(_session: Session, repair: repairs.SetOwner) -> None:
    for top in repair.paths:
        for path in (top, *top.rglob("*")):
            os.chown(path, repair.user, repair.group, follow_symlinks=False)


def _remove(_session: Session, repair: repairs.RemoveFiles) -> None:
    for path in repair.paths:
        path.unlink(missing_ok=True)


def _fill(session: Session, _repair: repairs.FillSettings) -> None:
    environment_file.ensure(session.project, session.project_file, session.environ)


def _replace_secrets(session: Session, repair: repairs.ReplaceSecrets) -> None:
    environment_file.empty(repair.path, repair.names)
    session = session.anew()
    environment_file.ensure(session.project, session.project_file, session.environ)


def _rename(_session: Session, repair: repairs.RenameVariables) -> None:
    environment_file.rename(repair.path, dict(repair.names))


def _append(_session: Session, repair: repairs.AppendLine) -> None:
    text = repair.path.read_text(encoding="utf-8") if repair.path.exists() else ""
    if repair.line in text.splitlines():
        return
    mode = repair.path.stat().st_mode & 0o777 if repair.path.exists() else 0o644
    text = f"{text.rstrip()}\n{repair.line}\n" if text.strip() else f"{repair.line}\n"
    write_private(repair.path, text)
    repair.path.chmod(mode)


def _end(_session: Session, repair: repairs.EndProcesses) -> None:
    left = proc.end([proc.known(pid, start) for pid, start, _ in repair.processes], grace=_GRACE)
    if left:
        raise JeexError(f"pid {left[0].pid} does not end", hint=f"sudo kill -9 {left[0].pid}")


def _move_ports(session: Session, repair: repairs.MovePorts) -> None:
    from jeex_cli.ops import ports

    with state.locked(session.project, timeout=session.timeout, waiting=session.output.note):
        session = session.anew()
        taken = session.runtime.taken_ports(session.stack, repair.services)
        if taken:
            ports.move(session, taken)


# One entry for each type of checks/repairs.py: a test compares.
HOW: Mapping[type[Any], Callable[[Session, Any], None]] = {
    repairs.StartStack: _start,
    repairs.RestartServices: _restart,
    repairs.MigrateDatabase: _migrate,
    repairs.OpenVault: _open_vault,
    repairs.FinishSwitch: _finish_switch,
    repairs.SetMode: _set_mode,
    repairs.SetOwner: _set_owner,
    repairs.RemoveFiles: _remove,
    repairs.FillSettings: _fill,
    repairs.ReplaceSecrets: _replace_secrets,
    repairs.RenameVariables: _rename,
    repairs.AppendLine: _append,
    repairs.EndProcesses: _end,
    repairs.MovePorts: _move_ports,
    repairs.RemoveContainers: repair_docker.remove_containers,
    repairs.RemoveImages: repair_docker.remove_images,
    repairs.SetInRedis: repair_servers.set_in_redis,
    repairs.SetPasswords: repair_servers.set_passwords,
    repairs.RunSql: repair_servers.run_sql,
}

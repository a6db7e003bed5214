"""A report to attach to a bug: what doctor found, versions, settings and the ends of logs; no secret, and nobody's name."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from jeex_cli import __version__
from jeex_cli.errors import ConfigError, JeexError
from jeex_cli.events import Finding
from jeex_cli.project import not_writable
from jeex_cli.redaction import HIDDEN, redact
from jeex_cli.session import Session
from jeex_cli.settings import is_secret

_LINES = 200  # of each log
_LONG_ENOUGH = 6  # characters of a value that is looked for everywhere
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def write(session: Session, file: Path, findings: Sequence[Finding]) -> Path:
    """Write the report as a zip file, mode 0600.

    Raises ConfigError where there is a file of that name already, NotReady where it cannot be written; nothing is left then.
    """
    file = file.expanduser().absolute()
    if file.exists():
        raise ConfigError(f"{file} exists already", code="FILE_EXISTS", hint="name another file")
    hide = redactor(session)
    parts = {
        "doctor.json": json.dumps([asdict(one) for one in findings], indent=2, default=str),
        "machine.json": json.dumps(_machine(), indent=2),
        "settings.json": json.dumps(_settings(session), indent=2),
        "state.json": _text(session.project.state_file),
        **{f"logs/{log.name}": _tail(log) for log in sorted(session.project.logs.glob("*.log"))},
    }
    new = Path()
    try:
        descriptor, name = tempfile.mkstemp(prefix=".jeex-", suffix=".zip", dir=file.parent)  # mode 0600
        new = Path(name)
        with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, text in parts.items():
                archive.writestr(part, hide(text))
        new.replace(file)
    except OSError as error:
        if new.name:
            new.unlink(missing_ok=True)
        raise not_writable(file, error) from error
    return file


def redactor(session: Session) -> Callable[[str], str]:
    """What hides every secret of this project in a text, and the names of user and home."""
    values: set[str] = set()
    sources: list[Mapping[str, str]] = [session.environ]
    with suppress(JeexError):
        sources.append(session.project_file)
    for found in sources:
        values |= {text for name, text in found.items() if is_secret(name) and len(text) >= _LONG_ENOUGH}
    values |= _unseal_keys(session.project.folder / "vault-keys.json")
    secrets = sorted(values, key=len, reverse=True)
    home = session.environ.get("HOME", "")
    user = session.environ.get("USER", "")

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        text = _ADDRESS.sub(HIDDEN, redact(text))
        if len(home) > 1:
            text = text.replace(home, "~")
        return re.sub(rf"\b{re.escape(user)}\b", "USER", text) if len(user) > 2 and user != "root" else text

    return hide


def _unseal_keys(file: Path) -> set[str]:
    return set(re.findall(r'"([^"\\]{16,})"', _text(file)))


def _machine() -> dict[str, object]:
    system = platform.uname()
    return {
        "jeex": __version__,
        "python": sys.version,
        "system": [system.system, system.release, system.version, system.machine],
        "cores": os.cpu_count(),
        "root": os.geteuid() == 0,
    }


def _settings(session: Session) -> object:
    try:
        values = session.settings.values
    except JeexError as error:
        return {"error": error.message}
    return {name: [HIDDEN if is_secret(name) and one.text else one.text, one.source] for name, one in sorted(values.items())}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _tail(file: Path) -> str:
    """Its last lines; without the audit log, in which everything is somebody's."""
    if "audit" in file.name:
        return "left out\n"
    return "\n".join(_text(file).splitlines()[-_LINES:])

"""The states of the services."""

from __future__ import annotations

from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.services import Services, State
from jeex_cli.probe import ask
from jeex_cli.session import Session
from jeex_cli.stack import Service

_PATIENCE = 0.5  # seconds for the first answer


def look(session: Session) -> Services:
    """The facts of checks/services.py."""
    states = session.runtime.states(session.stack)
    return Services(
        tuple(State(one.name, one.title, one.status, one.detail) for one in states),
        frozenset(one.name for one in session.stack.services if one.one_shot),
    )


def running(session: Session, name: str) -> Service:
    """The service, which answers on its port. Raises CannotLook where nothing does, or where it is not in this stack."""
    service = next((one for one in session.stack.services if one.name == name), None)
    if service is None or service.host_port is None or service.probe is None:
        raise CannotLook(f"this stack has no {name}", expected=True)
    answer = ask(service.probe, service.host_port, timeout=_PATIENCE)
    if not answer.open:
        raise CannotLook(f"{service.title} does not run", expected=True)
    if answer.detail.startswith("no answer") and _is_stopped(session, name):
        raise CannotLook(f"{service.title} does not run, and something else has its port", expected=True)
    return service


def _is_stopped(session: Session, name: str) -> bool:
    return any(one.name == name and one.pid is None for one in session.runtime.states(session.stack))

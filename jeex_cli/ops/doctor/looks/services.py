"""The states of the services."""

from __future__ import annotations

from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.services import Services, State
from jeex_cli.probe import ask
from jeex_cli.session import Session
from jeex_cli.stack import Service


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
    if not ask(service.probe, service.host_port).open:
        raise CannotLook(f"{service.title} does not run", expected=True)
    return service

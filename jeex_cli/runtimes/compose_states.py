"""What containers are, in the words of every runtime; and what changes while a stack starts, as steps."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from jeex_cli import proc
from jeex_cli.events import Report, Step
from jeex_cli.runtimes.base import ServiceState, Status
from jeex_cli.runtimes.engine import Container
from jeex_cli.stack import Service


class Watch:
    """Turns what the engine says of containers into steps, one after the other."""

    def __init__(self, services: Collection[Service], before: Mapping[str, Container], report: Report) -> None:
        self._services = {one.name: one for one in services}
        self._before = {name: (one.id, one.started) for name, one in before.items() if one.state == "running"}
        self._healthy_before = {name for name, one in before.items() if state_of(one) == "running"}
        # Compose may be about to replace any of them, a healthy one too: they are judged when it is done.
        self._old = {name: one.id for name, one in before.items()}
        self._restarts = {one.id: one.restarts for one in before.values()}
        self._report = report
        self._began: dict[str, float] = {}
        self._done: set[str] = set()
        self.failed: tuple[Service, Container] | None = None

    @property
    def waiting(self) -> list[str]:
        """The titles of those that are not there yet."""
        return [one.title for name, one in self._services.items() if name not in self._done]

    @property
    def settled(self) -> bool:
        """Whether every service is as it should be."""
        return not self.waiting

    def look(self, found: Mapping[str, Container], *, over: bool = False) -> None:
        """What has changed since the last look. `over` once Compose has done what it had to."""
        for name, service in self._services.items():
            container = found.get(name)
            if name in self._done or container is None or container.started is None:
                continue
            if self._old.get(name) == container.id and not over:
                continue
            if name not in self._began:
                self._began[name] = time.monotonic()
                self._report(Step(name, service.title, "running"))
            state = state_in_words(service, container)
            if state.status in ("running", "completed"):
                self._end(service, container)
            elif state.status in ("unhealthy", "failed", "crashed") or self._again(container) > 1:
                self._done.add(name)
                self._report(Step(name, service.title, "failed", time.time() - container.started, state.detail))
                self.failed = self.failed or (service, container)

    def suspect(self, found: Mapping[str, Container]) -> tuple[Service, Container] | None:
        """What the others wait for in vain, when Compose has given up: the first that ended and was started again."""
        late = [
            (service, found[name]) for name, service in self._services.items() if name in found and name not in self._done
        ]
        return next(((service, one) for service, one in late if self._again(one)), None)

    def _again(self, container: Container) -> int:
        """How often it was started again by the engine since we look."""
        return container.restarts - self._restarts.get(container.id, 0)

    def _end(self, service: Service, container: Container) -> None:
        self._done.add(service.name)
        same = self._before.get(service.name) == (container.id, container.started)
        if same and service.name in self._healthy_before and not service.one_shot:
            self._report(Step(service.name, service.title, "kept", 0.0))
            return
        ended = container.finished if service.one_shot and container.finished else time.time()
        self._report(Step(service.name, service.title, "done", max(0.0, ended - (container.started or ended))))


def state_of(container: Container) -> Status:
    """In one word, whatever the service is for."""
    if container.state == "running":
        return {"": "running", "healthy": "running", "starting": "starting"}.get(container.health, "unhealthy")  # type: ignore[return-value]
    return "crashed" if container.state in ("restarting", "dead") else "stopped"


def state_in_words(service: Service, container: Container | None) -> ServiceState:
    """One service, in the words of every runtime."""

    def state(status: Status, *, since: float | None = None, detail: str = "", pid: int | None = None) -> ServiceState:
        restarts = container.restarts if container else 0
        port = service.host_port
        return ServiceState(service.name, service.title, status, pid, since, port, service.address, detail, restarts)

    if container is None or container.state == "created":
        return state("stopped", detail=container.error if container else "")
    if container.state == "exited" and service.one_shot:
        bad = container.exit_code != 0
        return state("failed" if bad else "completed", since=container.finished, detail=_exit(container) if bad else "")
    status = state_of(container)
    if status == "running":
        again = f"started again {container.restarts} times by Docker" if container.restarts > 1 else ""
        again = "started again by Docker" if container.restarts == 1 else again
        return state(status, since=container.started, pid=container.pid, detail=again)
    if status in ("starting", "unhealthy"):
        said = (container.said.splitlines() or [""])[-1]
        return state(status, since=container.started, pid=container.pid, detail=said)
    return state(status, since=container.finished, detail=_exit(container) if container.exit_code else "")


def why(service: Service, container: Container) -> str:
    """What to say behind the title of a service that does not work."""
    if container.state == "running":
        return f"keeps ending: it was started {container.restarts} times" if container.restarts else "is unhealthy"
    return f"{'failed' if service.one_shot else 'did not start'}: {_exit(container)}"


def _exit(container: Container) -> str:
    return proc.Exit(container.exit_code, container.finished or 0.0).reason

"""The stack in Docker: Compose starts and stops it, the engine says how it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jeex_cli import journal, probe, proc
from jeex_cli.errors import DataError, Interrupted, JeexError, NotReady, TimedOut, Unhealthy
from jeex_cli.events import Report, Step
from jeex_cli.runtimes import engine
from jeex_cli.runtimes.base import CLI, ServiceState, Volume
from jeex_cli.runtimes.compose_states import Watch, state_in_words, state_of, why
from jeex_cli.runtimes.engine import Container
from jeex_cli.runtimes.programs.base import Place
from jeex_cli.stack import Service, Stack

if TYPE_CHECKING:
    from concurrent.futures import Future

    from docker import DockerClient

    from jeex_cli.log_entry import Entry
    from jeex_cli.runtimes.asked import Asked
    from jeex_cli.runtimes.log_files import Source

_OWN_IMAGE = "jeex-service:dev"  # as compose.yaml calls it
_SHIPS_LOGS, _LOG_FILES = "observability", "JEEX_DOCKER_CONTAINERS"  # the profile that reads them, and where they are
_POLL = 0.5  # seconds between two looks at the containers, where the engine tells of nothing
_BUILD = 900.0  # seconds that making the service's image may take at least: the first time it fetches a hundred MB
_GRACE = 10  # seconds a container gets to end before it is killed
_LAST_LINES = 8  # of a log, for an error


@dataclass(frozen=True)
class ComposeRuntime:
    """Runs every service of compose.yaml as containers of one Compose project.

    What starting needs is imported where it starts: `jeex status` asks the engine alone.
    """

    place: Place
    name: str = "compose"

    @cached_property
    def client(self) -> DockerClient:
        """The engine. Raises NotReady."""
        return engine.connect(self.place.environ)

    def check(self, stack: Stack, names: Collection[str]) -> None:
        """See Runtime."""
        from concurrent.futures import ThreadPoolExecutor

        from jeex_cli.runtimes import compose_look, compose_volumes

        for name in names:
            stack.service(name)
        engine.check(self.client)
        compose_look.clear(self.client, stack.project)
        # At the same time: one asks the docker program, one imports what writes Compose's command line, one asks the engine.
        with ThreadPoolExecutor(3) as threads:
            asked: list[Future[Any]] = [
                threads.submit(engine.compose_version, self.place.environ),
                threads.submit(lambda: self._compose),
                threads.submit(compose_volumes.check, self.client, stack, stack.project),
            ]
        for one in asked:
            one.result()

    def obtain(self, stack: Stack, names: Collection[str], report: Report, *, timeout: float) -> None:
        """See Runtime: pull images that are missing, build the service's where it is missing or of other sources."""
        from jeex_cli.runtimes import compose_image, compose_pull, compose_volumes

        images = [one.image for one in self._chosen(stack, names)]
        if compose_pull.ensure(self.client, [one for one in images if one != self._own_image], report):
            compose_volumes.check(self.client, stack, stack.project)  # without its image a volume cannot be looked into
        if self._own_image in images:
            compose_image.ensure(
                self.client, self.place.project, self._own_image, self._variables, report, timeout=max(timeout, _BUILD)
            )

    def left_out(self, stack: Stack) -> list[str]:
        """See Runtime: nothing that the profiles ask for."""
        return []

    def taken_ports(self, stack: Stack, names: Collection[str]) -> dict[str, int]:
        """See Runtime."""
        ours = {port for one in self._containers(stack).values() if one.state == "running" for port in one.ports}
        return {
            service.name: service.host_port
            for service in self._chosen(stack, names)
            if service.host_port is not None and service.host_port not in ours and not probe.is_free(service.host_port)
        }

    def start(self, stack: Stack, names: Collection[str], report: Report, *, timeout: float) -> None:
        """See Runtime. Compose knows the order; what the engine says of each container becomes a step."""
        deadline = time.monotonic() + timeout
        chosen = self._chosen(stack, names)
        alone = ["--no-deps", *(one.name for one in chosen)] if names else ["--remove-orphans"]
        before = self._containers(stack)
        for service in chosen:  # one that ends again and again would be waited for until its next turn, a minute away
            old = before.get(service.name)
            if old is not None and not service.one_shot and state_of(old) in ("crashed", "unhealthy"):
                self.client.api.remove_container(old.id, force=True)
                del before[service.name]
        changed = self._changes(stack)
        up = self._run("up", "--detach", "--no-build", "--pull", "never", "--quiet-pull", *alone)
        watch = Watch(chosen, before, report)
        try:
            while up.code is None or not watch.settled:
                over = up.code is not None  # before looking: what is seen after it is not replaced any more
                watch.look(self._containers(stack), over=over)
                if up.code not in (None, 0):
                    break
                if watch.failed is not None:
                    raise self._unhealthy(stack, *watch.failed)
                if time.monotonic() > deadline:
                    late = ", ".join(watch.waiting)
                    raise TimedOut(
                        f"{late or 'the stack'} was not ready in time",
                        hint="jeex logs; more time: jeex up --timeout 300",
                    )
                changed.wait(_POLL)
                changed.clear()
        except KeyboardInterrupt:
            raise Interrupted("interrupted", detail="what had started keeps running") from None
        finally:
            said = up.end()
        found = self._containers(stack)
        watch.look(found, over=True)
        if (failed := watch.failed or (watch.suspect(found) if up.code else None)) is not None:
            raise self._unhealthy(stack, *failed)
        if up.code:
            raise _refused(said)

    def stop(self, stack: Stack, names: Collection[str], report: Report) -> None:
        """See Runtime. Stopping everything takes the containers and networks away, leftovers of other versions too."""
        running = {one.service: one for one in self._containers(stack).values()}
        chosen = [one for one in stack.services if one.name in (names or running)]
        if not running:
            return
        began = time.monotonic()
        for service in chosen:
            report(Step(service.name, service.title, "running"))
        wanted = (
            ["stop", "--timeout", str(_GRACE), *names] if names else ["down", "--timeout", str(_GRACE), "--remove-orphans"]
        )
        ended = self._run(*wanted)
        said = ended.wait()
        if ended.code:
            raise _refused(said)
        for service in chosen:
            report(Step(service.name, service.title, "done", time.monotonic() - began))

    def volumes(self, stack: Stack) -> list[Volume]:
        """See Runtime."""
        from jeex_cli.runtimes import compose_volumes

        return compose_volumes.volumes(self.client, stack, stack.project)

    def delete_data(self, stack: Stack) -> None:
        """See Runtime. Volumes are this project's by their label, whatever they are called."""
        for volume in self.client.volumes.list(filters={"label": f"{engine.PROJECT}={stack.project}"}):
            volume.remove()
        (self.place.project.folder / "vault-keys.json").unlink(missing_ok=True)

    def states(self, stack: Stack) -> list[ServiceState]:
        """See Runtime."""
        found = self._containers(stack)
        return [state_in_words(service, found.get(service.name)) for service in stack.services]

    def entries(self, stack: Stack, names: Collection[str], asked: Asked, *, follow: bool) -> Iterator[Entry]:
        """See Runtime."""
        from jeex_cli.runtimes import compose_logs, log_files

        services = [one for one in names if one != CLI]
        chosen = [one.name for one in self._chosen(stack, services)] if services or not names else []

        def current() -> dict[str, str]:
            return {name: one.id for name, one in self._containers(stack).items() if name in chosen}

        own = [self._own_log] if CLI in names else []
        if follow:
            return compose_logs.follow(self.client, current, asked, (lambda: log_files.follow(own, asked)) if own else None)
        return compose_logs.read(self.client, current(), asked, log_files.read(own, asked))

    def mentions(self, stack: Stack, text: str) -> Iterator[Entry]:
        """See Runtime."""
        from jeex_cli.runtimes import compose_logs, log_files

        yield from log_files.mentions(self._own_log, text)
        for name, one in self._containers(stack).items():
            yield from compose_logs.mentions(self.client, name, one.id, text)

    # ------------------------------------------------------------------ helpers

    @property
    def _own_log(self) -> Source:
        from jeex_cli.runtimes.log_files import Source

        return Source(CLI, self.place.project.logs / journal.FILE)

    @property
    def _variables(self) -> dict[str, str]:
        return {**self.place.environ, **self.place.settings.variables}

    @cached_property
    def _own_image(self) -> str:
        return self._variables.get("JEEX_SERVICE_IMAGE") or _OWN_IMAGE

    def _containers(self, stack: Stack) -> dict[str, Container]:
        return engine.containers(lambda: self.client, self.place.environ, stack.project)

    def _chosen(self, stack: Stack, names: Collection[str]) -> list[Service]:
        wanted = {stack.service(name).name for name in names}
        return [one for one in stack.services if not names or one.name in wanted]

    @cached_property
    def _compose(self) -> list[str]:
        """The command up to what is to be done. `.env` is read by Compose itself, so its secrets are in no environment."""
        from python_on_whales import DockerClient

        file, env_file = self.place.project.compose_file, self.place.project.env_file
        client = DockerClient(
            compose_files=[file],
            compose_project_name=self.place.stack.project,
            compose_project_directory=file.parent,
            compose_env_files=[env_file] if env_file.exists() else [],
            compose_profiles=list(self.place.settings.profiles),
        )
        return [str(one) for one in client.compose.docker_compose_cmd]

    def _run(self, *arguments: str) -> proc.Watched:
        return proc.start([*self._compose, *arguments], env=self._environment(), cwd=self.place.project.root)

    def _environment(self) -> dict[str, str]:
        """The user's, with what `jeex up` was given earlier and on the command line; `.env` is left to Compose."""
        kept = {
            name: value.text
            for name, value in self.place.settings.values.items()
            if value.source not in ("default", ".env", "environment")
        }
        own = {name: text for name, text in self.place.environ.items() if not name.startswith("COMPOSE_")}
        return {**self._log_files, **own, **kept}

    @cached_property
    def _log_files(self) -> dict[str, str]:
        """Where this engine keeps the containers' logs, unless the user says it. A folder that is not there would be made by
        the engine, and no log would ever be shipped."""
        if _SHIPS_LOGS not in self.place.settings.profiles or self._variables.get(_LOG_FILES):
            return {}
        return {_LOG_FILES: f"{self.client.info()['DockerRootDir']}/containers"}

    def _changes(self, stack: Stack) -> threading.Event:
        """Set whenever the engine tells of something that happens to this project's containers."""
        changed = threading.Event()
        events = self.client.events(filters={"label": f"{engine.PROJECT}={stack.project}"}, decode=True)

        def listen() -> None:
            for _ in events:
                changed.set()

        threading.Thread(target=listen, name="jeex-events", daemon=True).start()
        return changed

    def _unhealthy(self, stack: Stack, service: Service, container: Container) -> JeexError:
        from jeex_cli.runtimes import compose_logs, compose_volumes

        try:  # a database that was made with other passwords lets nobody in, whoever complains of it
            compose_volumes.check_password(self.client, stack, stack.project)
        except DataError as error:
            return error
        last = compose_logs.last(self.client, container.id, _LAST_LINES)
        return Unhealthy(
            f"{service.title} {why(service, container)}",
            detail="\n".join(one for one in (container.error, container.said, last) if one),
            hint=f"jeex logs {service.name}",
        )


def _refused(said: str) -> JeexError:
    """What Compose said, in its last lines, when it did not do what it was told."""
    lines = [line for line in said.splitlines() if line.strip()]
    return NotReady(
        "Docker Compose could not do it",
        code="COMPOSE_FAILED",
        detail="\n".join(lines[-_LAST_LINES:]),
        hint=f"jeex status; {engine.WITHOUT}",
    )

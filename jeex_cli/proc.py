"""Processes and signals: the only module that starts, finds or ends a process.

A service runs in a session of its own below a small shell that does three things: it records the process before
the program starts (so that no kill of jeex can leave a process that nobody knows), waits for it, and writes down when and
how it ended. A process is recognised by its id together with its start time and the machine's boot, so a recycled
process id is never taken for ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jeex_cli.errors import NotReady, TimedOut

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# In a shell: leaves the record of itself in the file $record.
RECORD_ITSELF = """
  read -r boot < /proc/sys/kernel/random/boot_id
  read -r pid _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ start _ < /proc/self/stat
  printf '%s %s %s\\n' "$pid" "$start" "$boot" > "$record"
"""
# Arguments: folder, record file, exit file, then the program. `exec` keeps the process id, and with it the record, true.
_SUPERVISE = f"""
umask 077
cd "$1" || exit
record=$2 ended=$3
shift 3
({RECORD_ITSELF}
  exec "$@"
) &
wait $!
printf '%s %s\\n' "$?" "$(date +%s)" > "$ended"
"""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this boot. `start` is in clock ticks since boot (field 22 of proc(5) `stat`)."""

    pid: int
    start: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return _start_of(self.pid) == self.start and _boot() == self.boot

    @property
    def started_at(self) -> float:
        """When it started, in seconds since the epoch."""
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - (uptime - self.start / os.sysconf("SC_CLK_TCK"))

    def signal(self, number: signal.Signals) -> None:
        """Send `number`, unless the process is gone."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the end; whether it came."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True


@dataclass(frozen=True, slots=True)
class Exit:
    """How a service ended: `code` as a shell counts it (128 + signal), `at` in seconds since the epoch."""

    code: int
    at: float

    @property
    def reason(self) -> str:
        """The end in words: `killed by SIGKILL`, `exit code 1`."""
        if self.code > 128:
            try:
                return f"killed by {signal.Signals(self.code - 128).name}"
            except ValueError:
                return f"exit code {self.code}"
        return f"exit code {self.code}"


def spawn(argv: Sequence[str], *, record: Path, ended: Path, log: Path, cwd: Path, env: Mapping[str, str]) -> None:
    """Start `argv` so that it outlives this process; its output goes to the end of `log`.

    Returns at once: `read_record(record)` names the process as soon as it exists.
    """
    for old in (record, ended):
        old.unlink(missing_ok=True)
    # posix_spawn rather than subprocess: nobody here waits for this child, and nobody should be asked to.
    os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", _SUPERVISE, "jeex", str(cwd), str(record), str(ended), *argv],
        dict(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def spawn_script(script: str, *arguments: str) -> None:
    """Start a shell with that script so that it outlives this process, with nothing to read and nobody to speak to.

    `arguments` are its $0, $1, ...; it leaves a record of itself where others are to find it: see RECORD_ITSELF.
    """
    os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", script, *arguments],
        {"PATH": os.defpath},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def is_supervisor(argv: Sequence[str]) -> bool:
    """Whether that is the command line of a shell that looks after a service."""
    return list(argv[:4]) == ["/bin/sh", "-c", _SUPERVISE, "jeex"]


def read_record(path: Path) -> Process | None:
    """The process that `spawn` recorded in `path`; None where there is no complete record."""
    try:
        fields = path.read_text(encoding="ascii").split()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None
    if len(fields) != 3 or not fields[0].isdigit() or not fields[1].isdigit():
        return None
    return Process(int(fields[0]), int(fields[1]), fields[2])


def known(pid: int, start: int) -> Process:
    """The process of this boot with that id and start."""
    return Process(pid, start, _boot())


def running(pid: int) -> Process | None:
    """The process that has that id now."""
    start = _start_of(pid)
    return None if start is None else known(pid, start)


def end(processes: Sequence[Process], *, grace: float) -> list[Process]:
    """Have them end, politely and after `grace` seconds for certain; those that are still there.

    SIGINT, for PostgreSQL would wait for its clients after SIGTERM.
    """
    left = list(processes)
    for number in (signal.SIGINT, signal.SIGKILL):
        for one in left:
            one.signal(number)
        left = [one for one in left if not one.wait(grace)]
    return left


def read_exit(path: Path) -> Exit | None:
    """How the service ended, once it has."""
    try:
        code, at = path.read_text(encoding="ascii").split()
        return Exit(int(code), float(at))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def run(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end and return what it printed; the caller judges its exit code.

    Raises NotReady where the program cannot be started at all, TimedOut where it has not ended after `timeout` seconds: then
    it is killed.
    """
    try:
        return subprocess.run(  # noqa: S603 - as above
            list(argv),
            env=dict(env),
            cwd=cwd,
            timeout=timeout,
            text=True,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise _cannot_start(argv[0], error) from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{argv[0]} did not end within {timeout:g} s") from error


class Watched:
    """A program that its caller watches. What it says is read as it says it, or it would wait for that some day."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, name="jeex-reader", daemon=True)
        self._reader.start()

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def end(self) -> str:
        """Have it end, if it has not; what it said on stderr."""
        if self.code is None:
            self._process.terminate()
        return self.wait()

    def wait(self, timeout: float | None = None) -> str:
        """What it said on stderr, once it has ended. Raises TimeoutError after `timeout` seconds."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        self._reader.join()
        return "".join(self._said)

    def _read(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - `start` has asked for it
        with self._process.stderr as stream:
            self._said.extend(stream)


def start(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Watched:
    """Start a program that its caller watches and ends. Raises NotReady as `run` does."""
    try:
        process = subprocess.Popen(  # noqa: S603 - as above
            list(argv),
            env=dict(env),
            cwd=cwd,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise _cannot_start(argv[0], error) from error
    return Watched(process)


def working_in(folder: Path) -> list[int]:
    """The ids of the live processes whose working directory is `folder` (a server's own children among them)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                inside = (entry / "cwd").readlink() == folder
            except OSError:
                continue  # it ended, or belongs to another user
            if inside:
                found.append(int(entry.name))
    return found


def _cannot_start(program: str, error: OSError) -> NotReady:
    return NotReady(
        f"cannot start {program}: {error.strerror}",
        code="PROGRAM_MISSING",
        hint="jeex version shows where programs come from",
    )


def _start_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command stands in parentheses and may hold spaces and parentheses itself; the state follows the last one.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _boot() -> str:
    return _BOOT_ID.read_text().strip()

"""Every error that jeex reports, with its exit code.

JeexError                  1  an operation failed
|-- UsageError             2  the command line is wrong
|-- NotReady      3  this machine or this project is not fit to run the stack
|   |-- ConfigError           compose.yaml, .env or a setting cannot be used
|   |-- StateError            a file under .jeex/ cannot be read
|   `-- DataError             data on disk belongs to something else
|-- PortInUse              4  another process holds a port the stack needs
|-- Unhealthy              5  a service does not work
|-- TimedOut               6  something took longer than allowed
|-- PartialFailure         7  some of it worked
`-- Interrupted          130  the user pressed Ctrl-C

Errors of libraries are translated once, at the edge that calls the library. Anything else that reaches the
boundary in `cli.py` is a bug: exit 70, and the traceback goes to a log file.

The `code` is stable and meant for programs. `message` says what happened, `detail` why, `hint` is the exact
next command or edit.
"""

from __future__ import annotations


class JeexError(Exception):
    """An operation failed for a reason that jeex can name.

    Subclasses fix `exit_code`; `code` may be given at each raise, for a cause that deserves a name of its own.
    """

    exit_code = 1
    default_code = "FAILED"

    def __init__(
        self, message: str, *, code: str | None = None, detail: str = "", hint: str = "", data: object = None
    ) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message
        self.detail = detail
        self.hint = hint
        self.data = data  # what was found out nevertheless, for `--json`


class UsageError(JeexError):
    """The command line is wrong; nothing was done."""

    exit_code = 2
    default_code = "USAGE"


class NotReady(JeexError):
    """This machine or this project is not fit to run the stack; nothing was changed."""

    exit_code = 3
    default_code = "ENVIRONMENT"


class ConfigError(NotReady):
    """compose.yaml, .env or a setting cannot be used. `message` names the file and the line."""

    default_code = "CONFIG_INVALID"


class StateError(NotReady):
    """A file under .jeex/ is not what jeex wrote there."""

    default_code = "STATE_CORRUPT"


class DataError(NotReady):
    """Data on disk belongs to another version or another owner; jeex does not touch it."""

    default_code = "DATA_VERSION"


class PortInUse(JeexError):
    """Another process holds a port the stack needs."""

    exit_code = 4
    default_code = "PORT_IN_USE"


class Unhealthy(JeexError):
    """A service does not work."""

    exit_code = 5
    default_code = "UNHEALTHY"


class TimedOut(JeexError):
    """Something took longer than `--timeout` allows."""

    exit_code = 6
    default_code = "TIMED_OUT"


class PartialFailure(JeexError):
    """Some of it worked; `detail` says what did not."""

    exit_code = 7
    default_code = "PARTIAL"


class Interrupted(JeexError):
    """The user pressed Ctrl-C; the next command can go on from here."""

    exit_code = 130
    default_code = "INTERRUPTED"

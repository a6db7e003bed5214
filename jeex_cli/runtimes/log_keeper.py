"""What keeps the logs of running servers bounded, where no engine does.

Servers write through a file that they were given open, and know nothing of its size. One small shell beside them looks every
few seconds; it moves the beginning of a log that has grown too long into `x.log.1`. It lasts until the last service has
stopped on purpose.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

from jeex_cli import proc
from jeex_cli.errors import ConfigError
from jeex_cli.project import Project, private_folder, write_private
from jeex_cli.settings import Settings

_VARIABLE, _DEFAULT = "JEEX_LOG_MAX_SIZE", "10m"
_UNITS = {"b": 1, "": 1, "k": 1024, "m": 1024**2, "g": 1024**3}  # as Docker's json-file driver has them
_EVERY = 5.0  # seconds between two looks
_LEAST = 64 * 1024  # bytes: less than that cannot be taken out of a file

# Arguments: folder of logs, record file, file with the limit in bytes, seconds between two looks. What is moved is cut out
# of the file at once, which loses nothing whatever is written meanwhile; where the file system cannot do that (ext4 and xfs
# can), the file is emptied right after what it had was copied.
_KEEP_SHORT = f"""
umask 077
cd "$1" || exit
record=$2 limit=$3 every=$4 nap= ended=
{proc.RECORD_ITSELF}
trap 'ended=1; [ -z "$nap" ] || kill "$nap"' TERM INT
while [ -z "$ended" ] && read -r most < "$limit"; do
  for log in $(find . -maxdepth 1 -name '*.log' -size +"$most"c); do
    size=$(stat -c %s "$log")
    cut=$(((size - 1) / 65536 * 65536))
    head -c "$cut" "$log" > "$log.1.new" || {{ rm -f "$log.1"; head -c "$cut" "$log" > "$log.1.new"; }} || continue
    mv "$log.1.new" "$log.1"
    fallocate --collapse-range --offset 0 --length "$cut" "$log" || {{
      tail -c +"$((cut + 1))" "$log" >> "$log.1"
      : > "$log"
    }}
  done
  sleep "$every" &
  nap=$!
  [ -z "$ended" ] || kill "$nap"
  wait "$nap"
  nap=
done
"""


def limit(settings: Settings) -> int:
    """Bytes that a log may have. Raises ConfigError."""
    text = settings.given(_VARIABLE) or _DEFAULT
    found = re.fullmatch(r"(\d{1,9})([bkmg]?)", text.strip().lower())
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if size < _LEAST:
        raise ConfigError(
            f"{_VARIABLE} is {text!r}, which is no size of 64k or more", hint=f"for example {_VARIABLE}=10m, or 500k"
        )
    return size


def ensure(project: Project, settings: Settings) -> None:
    """Have the logs of this project kept within the limit. Raises ConfigError."""
    # Read anew at each look: a limit that was changed holds from then on.
    write_private(project.run / "logs.limit", f"{limit(settings)}\n")
    known = proc.read_record(project.run / "logs.keeper")
    if known is None or not known.alive:
        start(private_folder(project.logs), record=project.run / "logs.keeper", limit=project.run / "logs.limit")


def start(logs: Path, *, record: Path, limit: Path, every: float = _EVERY) -> None:
    """Keep the logs in that folder short, for as long as the file `limit` says how short that is (in bytes); with a look
    `every` so many seconds. Returns at once."""
    record.unlink(missing_ok=True)
    proc.spawn_script(_KEEP_SHORT, "jeex-logs", str(logs), str(record), str(limit), f"{every:g}")


def end(project: Project) -> None:
    """No service runs any more."""
    known = proc.read_record(project.run / "logs.keeper")
    if known is not None:
        known.signal(signal.SIGTERM)
        if not known.wait(2.0):
            known.signal(signal.SIGKILL)

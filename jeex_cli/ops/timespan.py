"""Spans of time as people write them on a command line."""

from __future__ import annotations

import re
from datetime import timedelta

_SPAN = re.compile(r"([0-9]{1,9})\s*([smhd])")  # nine digits: days beyond them are more than a timedelta can hold
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str) -> timedelta | None:
    """`45s`, `10m`, `12h`, `30d`; None for what is no such span."""
    found = _SPAN.fullmatch(text.strip())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None

"""Timing whole commands, and printing ratios."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One measurement: what, its seconds, the seconds of the bare thing, and the ratio that was promised."""

    name: str
    seconds: float
    bare: float
    at_most: float | None = None

    @property
    def ratio(self) -> float:
        return self.seconds / self.bare

    @property
    def text(self) -> str:
        promise = (
            "" if self.at_most is None else f"  (at most {self.at_most:g}x: {'yes' if self.ratio <= self.at_most else 'NO'})"
        )
        return (
            f"  {self.name:<44}{self.seconds * 1000:9.1f} ms  bare {self.bare * 1000:9.1f} ms  {self.ratio:6.2f}x{promise}"
        )


def command(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, runs: int) -> float:
    """The median seconds of `runs` runs, after one that warms the caches."""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run(argv, env=dict(env), cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def clean_env(home: Path, **more: str) -> dict[str, str]:
    """An environment in which Python keeps its bytecode, as users have it."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more}


def show(title: str, rows: Sequence[Row]) -> None:
    print(f"\n{title}")
    for row in rows:
        print(row.text)

"""Work that depends on other work, as parallel as the dependencies allow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from jeex_cli.errors import Interrupted


class Cancelled(Exception):
    """Raised inside a piece of work that sees `cancelled` set; never leaves `run`."""


def run(needs: Mapping[str, Collection[str]], work: Callable[[str, threading.Event], None]) -> None:
    """Call `work(name, cancelled)` for every key of `needs`, each in a thread of its own once what it needs is done.

    Needs that are not keys count as done. The first failure sets `cancelled`, nothing further begins, and that failure is
    raised when all threads have ended. Ctrl-C does the same and raises Interrupted.
    """
    done = {name: threading.Event() for name in needs}
    cancelled = threading.Event()
    failures: list[BaseException] = []

    def one(name: str) -> None:
        try:
            for other in needs[name]:
                if other in done:
                    _wait(done[other], cancelled)
            if cancelled.is_set():
                return
            work(name, cancelled)
            done[name].set()
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread and raised there
            failures.append(error)
            cancelled.set()

    threads = [threading.Thread(target=one, args=(name,), name=f"jeex-{name}", daemon=True) for name in needs]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)  # in slices, so that Ctrl-C is noticed
    except KeyboardInterrupt:
        cancelled.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join(5)
        raise Interrupted("interrupted", detail="what had started keeps running") from None
    if failures:
        raise failures[0]


def _wait(event: threading.Event, cancelled: threading.Event) -> None:
    while not event.wait(0.01):
        if cancelled.is_set():
            raise Cancelled

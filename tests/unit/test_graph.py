"""The order in which dependent work is done, and how it ends."""

from __future__ import annotations

import _thread
import threading
import time

import pytest

from jeex_cli.errors import Interrupted, Unhealthy
from jeex_cli.runtimes import graph


def test_work_begins_after_what_it_needs() -> None:
    order: list[str] = []
    graph.run({"api": ["db", "cache"], "db": [], "cache": ["db"]}, lambda name, _: order.append(name))
    assert order == ["db", "cache", "api"]


def test_independent_work_overlaps() -> None:
    both = threading.Barrier(2, timeout=5)
    graph.run({"a": [], "b": []}, lambda _name, _: both.wait() and None)


def test_needs_that_are_not_part_of_the_work_count_as_done() -> None:
    done: list[str] = []
    graph.run({"api": ["elsewhere"]}, lambda name, _: done.append(name))
    assert done == ["api"]


def test_the_first_failure_is_raised_and_dependents_do_not_begin() -> None:
    begun: list[str] = []

    def work(name: str, _cancelled: threading.Event) -> None:
        begun.append(name)
        if name == "db":
            raise Unhealthy("db is broken")

    with pytest.raises(Unhealthy, match="db is broken"):
        graph.run({"db": [], "api": ["db"], "web": ["api"]}, work)
    assert begun == ["db"]


def test_a_failure_cancels_what_is_under_way() -> None:
    def work(name: str, cancelled: threading.Event) -> None:
        if name == "slow":
            assert cancelled.wait(5)
            raise graph.Cancelled
        raise Unhealthy("broken")

    with pytest.raises(Unhealthy):
        graph.run({"slow": [], "broken": []}, work)


def test_ctrl_c_cancels_and_waits_for_the_work() -> None:
    ended = threading.Event()

    def work(_name: str, cancelled: threading.Event) -> None:
        _thread.interrupt_main()
        cancelled.wait(5)
        time.sleep(0.05)
        ended.set()

    with pytest.raises(Interrupted):
        graph.run({"a": []}, work)
    assert ended.is_set()

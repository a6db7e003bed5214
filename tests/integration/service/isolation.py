"""Several tenants over one small pool, in every order that Hypothesis thinks of.

Up to `most_open` transactions are open at a time, each of a tenant; the steps in between read, change, fail, are cancelled,
or lose their connection. A model in Python knows which rows each should see. What is seen must be exactly that, and in the
end a superuser finds exactly what the model knows, tenant by tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.integration.service.isolation_changes import CHANGES
from tests.integration.service.isolation_checks import unbound_raises
from tests.integration.service.isolation_run import Run, Setup
from tests.integration.service.isolation_ways import MODELS

_TABLES = st.sampled_from(sorted(MODELS))
_PICKS = st.integers(0, 5)
_TENANT = st.integers(0, 2)
_HOW = st.sampled_from(["orm", "orm", "direct", "pages"])
_ENDS = ("commit", "commit", "commit", "give_up", "fail", "swallow", "cancel", "kill", "kill_before_commit")
# Few rules, each with much to draw from: Hypothesis leaves some rules out of each example.
_ASKS = st.one_of(
    st.tuples(st.just("look"), st.none()),
    *(st.tuples(st.just("change"), st.sampled_from(sorted(CHANGES))) for _ in range(3)),
    st.tuples(st.sampled_from(["reach", "refuse"]), _PICKS),
)


def play(setup: Setup, *, examples: int, steps: int) -> None:
    """The whole run; the same every time. Without shrinking: a step costs milliseconds, not microseconds."""
    run_state_machine_as_test(
        partial(Isolation, setup),
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=examples,
            stateful_step_count=steps,
            phases=(Phase.generate,),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


class Isolation(RuleBasedStateMachine):
    """One example: a world of its own, a pool of its own, one event loop."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.one = Run(setup)
        self.run(self.one.start())

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(work)

    def teardown(self) -> None:
        try:
            self.run(self.one.finish())
        finally:
            self.runner.close()

    def _room(self) -> bool:
        return len(self.one.open) < self.one.setup.most_open

    @initialize(several=st.lists(st.tuples(_TENANT, _HOW), min_size=1, max_size=3))
    def first(self, several: list[tuple[int, str]]) -> None:
        for tenant, how in several[: self.one.setup.most_open]:
            self.run(self.one.begin(self.one.tenants[tenant], how))

    @precondition(_room)
    @rule(tenant=_TENANT, how=_HOW)
    def begin(self, tenant: int, how: str) -> None:
        self.run(self.one.begin(self.one.tenants[tenant], how))

    @rule(asks=st.lists(st.tuples(_PICKS, _ASKS, _TABLES), min_size=2, max_size=5))
    def ask(self, asks: list[tuple[int, tuple[str, Any], str]]) -> None:
        """Several in a row: in the same transaction, or now in this, now in that."""
        for pick, (what, more), table in asks:
            on = self.one.picked(pick, writes=what == "change")
            if on is not None:
                if what == "look":
                    self.run(self.one.look(on, table))
                elif what == "change":
                    self.run(self.one.change(on, more, table))
                else:
                    self.run(getattr(self.one, what)(on, table, more))

    @rule(pick=_PICKS, end=st.sampled_from(_ENDS), tenant=_TENANT, how=_HOW)
    def replace(self, pick: int, end: str, tenant: int, how: str) -> None:
        """One transaction ends, another begins: as likely as not over the same connection."""
        on = self.one.picked(pick)
        assert on is not None
        self.run(getattr(self.one, end)(on))
        self.one.tally[end] += 1
        self.run(self.one.begin(self.one.tenants[tenant], how))

    @precondition(_room)
    @rule(tenant=_TENANT, after=st.sampled_from([None, 0.0, 0.0005, 0.001, 0.002, 0.004]), table=_TABLES)
    def disturb(self, tenant: int, after: float | None, table: str) -> None:
        """Connections go, callers go, and someone forgets the tenant."""
        if after is None:
            self.run(self.one.kill_idle())
        else:
            self.run(self.one.cancel_whole(self.one.tenants[tenant], after))
        self.run(unbound_raises(self.one.database, table))

"""The small parts of jobs: what is signed, what a schedule's job is called, what a file in an archive is called."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import asyncpg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.due_jobs import Due
from service.adapters.transport import Signer
from service.core.errors import Forbidden
from service.core.settings import Secret
from service.services.export import Names, front_matter
from service.services.jobs import LocalQueue, PostgresQueue, Queue
from service.services.schedules import Schedule, job_of

MESSAGE = Due(uuid.UUID(int=1), uuid.UUID(int=2), 3)
SIGNER = Signer(Secret("0123456789abcdef0123456789abcdef"))
TENANT, ID = uuid.UUID(int=5), uuid.UUID(int=6)


def test_what_is_sealed_is_opened_and_nothing_else() -> None:
    sealed = SIGNER.seal(MESSAGE)
    assert SIGNER.open(sealed) == MESSAGE
    for name, other in (("tenant", str(uuid.UUID(int=2))), ("job", str(uuid.UUID(int=1))), ("attempts", 4)):
        with pytest.raises(Forbidden) as caught:
            SIGNER.open({**sealed, name: other})
        assert caught.value.code == "MESSAGE_REFUSED"
    with pytest.raises(Forbidden):
        Signer(Secret("another one of thirty-two letters")).open(sealed)
    with pytest.raises(ValueError, match="at least 32"):
        Signer(Secret("short"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
    )
)
def test_whatever_comes_is_refused(envelope: object) -> None:
    with pytest.raises(Forbidden):
        SIGNER.open(envelope)


def test_a_period_has_one_job_and_the_next_another() -> None:
    hourly = Schedule("purge", 3600)
    began = datetime(2026, 11, 26, 12, 0, tzinfo=UTC).timestamp()
    ids = {job_of(hourly, TENANT, began + second) for second in (0, 1, 3599)}
    assert len(ids) == 1
    one = ids.pop()
    assert (one.version, one.variant) == (7, uuid.RFC_4122)
    assert one.int >> 80 == int(began * 1000)
    others = {job_of(hourly, TENANT, began + 3600), job_of(Schedule("warm", 3600), TENANT, began), job_of(hourly, ID, began)}
    assert len({one, *others}) == 4


def test_every_name_in_an_archive_is_its_own() -> None:
    names = Names()
    paths = ("a", "a.md", "b/c", "b", "b.md/d", "x.md", "x.md/y", "../up", "/etc/passwd", "con/../../up")
    found = [names.take(path, ID) for path in paths]
    assert found == ["a.md", f"_other/{ID}.md", "b/c.md", "b.md", f"_other/{ID}.md", "x.md", *[f"_other/{ID}.md"] * 4]


@given(
    st.text(st.characters(exclude_categories=("Cs",))), st.dictionaries(st.text(max_size=5), st.integers() | st.booleans())
)
def test_front_matter_is_yaml(title: str, extra: dict[str, object]) -> None:
    assert yaml.safe_load(front_matter({"title": title, "metadata": extra}).split("---\n")[1]) == {
        "title": title,
        "metadata": extra,
    }


async def _twice(queue: Queue) -> tuple[uuid.UUID, uuid.UUID, uuid.UUID]:
    driver: asyncpg.Connection = None
    first = await queue.enqueue(driver, TENANT, "k", {}, unique_key="one")
    second = await queue.enqueue(driver, TENANT, "k", {}, unique_key="one")
    other = await queue.enqueue(driver, ID, "k", {}, unique_key="one")
    return first.id, second.id, other.id


@pytest.mark.parametrize("kind", [LocalQueue])
def test_the_double_keeps_the_promise_of_keys(kind: type[LocalQueue]) -> None:
    import asyncio

    queue = kind()
    first, second, other = asyncio.run(_twice(queue))
    assert first == second != other
    assert [one.kind for _, one in queue.left] == ["k", "k"]
    _: Queue = PostgresQueue()

"""Jobs as they happen: the stream, the list without it, and what can be done with a job."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.frontend.conftest import Stack, Tabs, Tenant, shot, sign_in
from tests.e2e.frontend.jobs_api import JobsApi, now
from tests.integration.service.machine import free_port, request, until
from tests.integration.service.processes import Service

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def staged(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[JobsApi, str]]:
    """An API whose jobs the test decides about, and the address of a page that speaks to it."""
    port = free_port()
    with JobsApi(stack.api, f"http://127.0.0.1:{port}").running() as api:
        log = tmp_path_factory.mktemp("staged") / "frontend.log"
        frontend = Service("frontend", {"FRONTEND_PORT": str(port), "API_URL": api.url}, log)
        frontend.start()
        try:
            frontend.wait("/health")
            yield api, f"http://127.0.0.1:{port}"
        finally:
            frontend.stop()


@pytest.fixture
def api(staged: tuple[JobsApi, str]) -> JobsApi:
    one = staged[0]
    one.jobs.clear()
    one.refusing = False
    return one


@pytest.fixture
def page(staged: tuple[JobsApi, str], api: JobsApi, tabs: Tabs, tenant: Tenant) -> Page:
    """The jobs, live."""
    tabs.allowed = [f"{staged[1]}/", f"{api.url}/"]
    one = tabs.open(f"{staged[1]}/#/jobs")
    sign_in(one, tenant.key)
    return one


def job(page: Page, number: int = 0) -> Locator:
    return page.get_by_role("list", name="Jobs").get_by_role("listitem").nth(number)


def live(page: Page, words: str | re.Pattern[str] = "Live") -> None:
    expect(page.get_by_role("main").get_by_role("status").filter(has_text=words)).to_be_visible()


def test_a_job_is_watched_from_its_start_to_its_end(page: Page, api: JobsApi) -> None:
    live(page)
    expect(page.get_by_text("No jobs.")).to_be_visible()
    one = api.put()
    expect(job(page)).to_contain_text("queued")
    one = api.put(one, status="running", attempts=1, started_at=now(), progress=None, message="reading")
    bar = job(page).get_by_role("progressbar", name="Progress of project.export")
    expect(bar).to_be_visible()
    assert bar.get_attribute("value") is None  # how far it is, nobody knows
    # A button keeps the focus while the numbers move.
    cancel = job(page).get_by_role("button", name="Cancel project.export")
    cancel.focus()
    one = api.put(one, progress=40, message="12 of 30 documents")
    expect(job(page)).to_contain_text("40 % · 12 of 30 documents")
    expect(bar).to_have_js_property("value", 40)
    expect(cancel).to_be_focused()
    other = api.put(status="running", attempts=1, kind="rows.purge", started_at=now(), progress=10)
    expect(job(page)).to_contain_text("rows.purge")  # the newest is first
    shot(page, "jobs")
    one = api.put(one, status="queued", attempts=1, error="the disk is full", run_at=now(), progress=None)
    expect(job(page, 1)).to_contain_text(re.compile(r"Waiting for attempt 2 of 5, at \d"))
    api.put(one, status="done", attempts=2, error=None, finished_at=now(), message="30 documents")
    expect(job(page, 1)).to_contain_text("done")
    expect(page.get_by_role("status").filter(has_text="project.export is done")).to_have_count(1)
    expect(job(page, 1).locator("summary")).to_be_focused()  # the button is gone, the place is not
    with page.expect_download() as saved:
        job(page, 1).get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "handbook.zip"
    assert Path(saved.value.path()).read_bytes().startswith(b"PK")
    job(page, 1).locator("summary").click()
    expect(job(page, 1).get_by_text(f"jeex trace {one['request_id']}", exact=True)).to_be_visible()
    api.put(other, status="dead", attempts=5, error="it <b>broke</b>\nfor good", finished_at=now())
    expect(job(page)).to_contain_text("it <b>broke</b>")
    expect(job(page).get_by_role("button")).to_have_count(1)
    job(page).get_by_role("button", name="Retry rows.purge").click()
    expect(job(page)).to_contain_text("queued")
    job(page).get_by_role("button", name="Cancel rows.purge").click()
    expect(job(page)).to_contain_text("cancelled")


def test_what_is_refused_is_explained(page: Page, api: JobsApi, tabs: Tabs) -> None:
    tabs.expected.append(r"^Failed to load resource: .* 409 ")
    one = api.put(status="running", attempts=1)
    cancel = job(page).get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    api.jobs[one["id"]] = {**one, "status": "done"}  # it has ended, and the news is still under way
    cancel.click()
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("The job has ended already.")


def test_without_its_stream_the_page_asks_says_so_and_becomes_live_again(page: Page, api: JobsApi, tabs: Tabs) -> None:
    tabs.expected.append(r"^Failed to load resource: .* 503 ")
    live(page)
    one = api.put()
    expect(job(page)).to_contain_text("queued")
    page.clock.install()
    api.refusing = True
    api.cut()
    live(page, re.compile(r"Not live \(.+\): asking every 5 s"))
    api.put(one, status="running", attempts=1)  # nobody hears it
    api.put(message="a new one")
    page.clock.fast_forward(5_100)
    expect(job(page, 1)).to_contain_text("running")
    expect(job(page)).to_contain_text("a new one")
    live(page, "Not live")
    shot(page, "jobs-broken")
    api.put(one, status="done", finished_at=now())
    api.refusing = False
    page.clock.fast_forward(25_000)
    live(page)
    expect(job(page, 1)).to_contain_text("done")  # it ended while nobody was listening
    api.put(message="the newest")
    expect(job(page)).to_contain_text("the newest")


def test_jobs_of_one_status_and_no_stream_for_who_looks_elsewhere(page: Page, api: JobsApi) -> None:
    api.put(status="done", message="one", finished_at=now())
    two = api.put(status="running", message="two", attempts=1)
    expect(page.get_by_role("list", name="Jobs").get_by_role("listitem")).to_have_count(2)
    page.get_by_label("Show", exact=True).select_option("Running")
    expect(job(page)).to_contain_text("two")
    expect(page.get_by_role("list", name="Jobs").get_by_role("listitem")).to_have_count(1)
    api.put(two, status="done", finished_at=now())
    expect(page.get_by_text("No jobs.")).to_be_visible()
    until(lambda: api.listeners == 1)
    page.get_by_role("link", name="Health").click()
    until(lambda: api.listeners == 0)


def test_an_export_of_a_real_project(
    stack: Stack, tenant: Tenant, tabs: Tabs, signed_in: Callable[..., Page], tmp_path: Path
) -> None:
    if "/api/v1/jobs/events" not in request("GET", f"{stack.api}/openapi.json")[1]["paths"]:
        pytest.skip("this API has no jobs")
    project = tenant.made("/projects", slug="handbook", name="Handbook")["id"]
    tenant.made("/documents", project_id=project, path="guides/install", title="Install", content="# Install\n")
    page = signed_in(f"#/projects/{project}")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("status").get_by_role("link", name="Watch it in Jobs").click()
    live(page)
    row = page.get_by_role("list", name="Jobs").get_by_role("listitem").filter(has_text="export")  # a tenant has others, too
    expect(row).to_contain_text("done", timeout=60_000)
    shot(page, "export")
    with page.expect_download() as saved:
        row.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "handbook.zip"
    saved.value.save_as(tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as found:
        assert any(name.endswith("install.md") for name in found.namelist())

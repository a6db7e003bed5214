"""A whole stack and one browser for all of these tests; a tenant and a tab of its own for each.

The browser is the system's Chromium: `.ci/run` installs it, and where CI runs, a test that is left out would be a promise
that nobody keeps. Both are of the package and not of the session: while Playwright runs, a worker has an event loop, and
other tests want to start their own.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Cli, kill_leftovers, make_cli
from tests.integration.service.client import Answer
from tests.integration.service.machine import request

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
CHANGED = "ERR_NETWORK_CHANGED"
_numbers = itertools.count()


@dataclass(frozen=True)
class Tenant:
    """A tenant on the stack, and its API as its owner (or whoever `key` belongs to) calls it."""

    api: str
    slug: str
    key: str

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(*request(method, f"{self.api}/api/v1{path}", body, sent))

    def made(self, path: str, /, **body: object) -> dict[str, Any]:
        answer = self.ask("POST", path, body)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.body
        return found

    def member(self, role: str) -> Tenant:
        user = self.made("/users", email=f"{role}@x.example", display_name=role, role=role)
        return Tenant(self.api, self.slug, self.made("/keys", name="test", user_id=user["id"])["key"])


@dataclass
class Stack:
    """What `jeex up` brought up."""

    cli: Cli
    key: str

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.cli.ports['API']}"

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.cli.ports['FRONTEND']}"

    def tenant(self) -> Tenant:
        slug = f"house-{next(_numbers)}"
        admin = Tenant(self.api, slug, self.key)
        return Tenant(self.api, slug, admin.made("/tenants", slug=slug, admin_email=f"alice@{slug}.example")["key"])


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if CHROMIUM is None and os.environ.get("CI") != "true":
        pytest.skip("no Chromium is installed")
    assert CHROMIUM is not None, "CI needs Chromium: see .ci/run"
    cli = make_cli(tmp_path_factory.mktemp("frontend"))
    try:
        cli.run("up")
        found = re.search(r"^JEEX_ADMIN_KEY=(.+)$", (cli.folder / ".env").read_text(), re.MULTILINE)
        assert found is not None
        yield Stack(cli, found[1])
        cli.run("down", "--delete-data", "--yes")
        cli.assert_nothing_left()
    finally:
        kill_leftovers(cli)


@pytest.fixture(scope="package")
def browser(stack: Stack) -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM)
        yield one
        one.close()


@dataclass
class Tabs:
    """Opens tabs, and holds that none of them says anything in its console or speaks with anybody but page and API.

    `expected` are patterns of what may be said: a browser reports each refused request. It drops what it loads when the
    machine's network changes, as it does when anybody's container starts; the page is to mend that by itself.
    """

    browser: Browser
    allowed: list[str]
    expected: list[str] = field(default_factory=lambda: [CHANGED])
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, url: str, **options: Any) -> Page:
        from playwright.sync_api import Request

        context = self.browser.new_context(**{"viewport": {"width": 1180, "height": 860}, "locale": "en-GB", **options})
        page = context.new_page()

        def heard(asked: Request) -> None:
            self.asked.append(asked.url)

        page.on("request", heard)
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        go(page, url)
        page.locator("main h1").wait_for()
        return page

    def judge(self) -> None:
        strangers = [url for url in self.asked if not url.startswith((*self.allowed, "blob:", "data:"))]
        assert strangers == []
        # A refused request, or one to an API that is away, is reported by the browser whatever the page makes of it.
        unexpected = [text for text in self.said if not any(re.search(one, text) for one in self.expected)]
        assert unexpected == []


@pytest.fixture
def tabs(browser: Browser, stack: Stack) -> Iterator[Tabs]:
    one = Tabs(browser, [f"{stack.page}/", f"{stack.api}/"])
    yield one
    for context in browser.contexts:
        context.close()
    one.judge()


@pytest.fixture
def tenant(stack: Stack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def signed_in(tabs: Tabs, stack: Stack, tenant: Tenant) -> Callable[..., Page]:
    """Opens a tab at a view, signed in as the tenant's owner (or with `key`)."""

    def open_it(view: str = "#/projects", key: str = tenant.key, url: str = stack.page, **options: Any) -> Page:
        page = tabs.open(f"{url}/{view}", **options)
        sign_in(page, key)
        return page

    return open_it


def go(page: Page, url: str) -> None:
    """To a page; once more where the network changed meanwhile."""
    from playwright.sync_api import Error

    try:
        page.goto(url)
    except Error as error:
        if CHANGED not in str(error):
            raise
        page.goto(url)


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Account:").wait_for()


def shot(page: Page, name: str) -> None:
    """A picture for people, where they ask for one: JEEX_TEST_SCREENSHOTS is the folder."""
    if folder := os.environ.get("JEEX_TEST_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))

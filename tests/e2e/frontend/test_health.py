"""The health of the stack: as it is, as it was, and when the API is away."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.frontend.conftest import Stack, Tabs, Tenant, shot, sign_in
from tests.integration.service.machine import request, until

pytestmark = pytest.mark.e2e
REFUSED = r"^Failed to load resource: net::ERR_(CONNECTION_|EMPTY_)"
NAMES = ["API", "PostgreSQL", "Redis", "Vault"]


def test_every_component_with_its_version_latency_and_history(tabs: Tabs, stack: Stack) -> None:
    page = tabs.open(stack.page)
    expect(page).to_have_title("Everything works · jeex")
    components = page.get_by_role("list", name="Components").get_by_role("listitem")
    for name in NAMES:
        component = components.filter(has=page.get_by_role("heading", name=name))
        expect(component).to_contain_text(re.compile(r"\d+\.\d+.*\d ms\s*up", re.DOTALL))
    expect(components.nth(1)).to_contain_text("18.")
    page.clock.install()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # asks at once, and from now on by that clock
    chart = components.nth(1).get_by_role("img")
    expect(chart).to_have_attribute(
        "aria-label", re.compile(r"^PostgreSQL: up in \d+ of the last \d+ checks, down in 0; latency")
    )

    def checks() -> int:
        found = re.search(r"of the last (\d+) checks", chart.get_attribute("aria-label") or "")
        assert found is not None
        return int(found[1])

    before = checks()
    page.clock.fast_forward(6_000)
    expect(chart).not_to_have_attribute("aria-label", re.compile(f"of the last {before} checks"))
    expect(chart.locator(".bar.up").nth(before)).to_be_attached()
    page.get_by_text("The checks of this session in numbers").click()
    row = page.get_by_role("row", name="PostgreSQL")
    number, latency = re.compile(r"^\d+$"), re.compile("ms$")
    expect(row.get_by_role("cell")).to_have_text([number, number, "0", latency, latency])
    # It goes on while somebody looks at something else.
    before = checks()
    page.get_by_role("link", name="Jobs").click()
    page.clock.fast_forward(6_000)
    page.get_by_role("link", name="Health").click()
    expect(chart).not_to_have_attribute("aria-label", re.compile(f"of the last {before} checks"))


def test_what_is_lost_is_named_and_what_still_works_does(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    tabs.expected.append(r"^Failed to load resource: .* 503 ")
    page = tabs.open(stack.page)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Everything works")
    running = stack.cli.services()
    for name in ("redis", "vault"):
        os.kill(running[name]["pid"], signal.SIGKILL)
    redis = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Redis"))
    try:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(heading).to_have_text("Not working: Redis, Vault")
        expect(page.get_by_role("status").filter(has_text="Not working: Redis, Vault")).to_be_visible()
        expect(redis).to_contain_text("Redis cannot be reached")
        expect(redis.get_by_role("img")).to_have_attribute("aria-label", re.compile("down in [12]"))
        shot(page, "degraded")
        # Without Vault there are no tokens, and the key itself serves: kept nowhere.
        page.get_by_role("link", name="Sign in").click()
        sign_in(page, tenant.key)
        expect(page.get_by_role("main")).to_contain_text("the key itself is sent")
        assert page.evaluate("sessionStorage.length") == 0
        page.get_by_role("link", name="Projects").click()
        expect(page.get_by_text("There is no project yet.")).to_be_visible()
    finally:
        stack.cli.run("up", "redis", "vault")
    page.get_by_role("link", name="Health").click()
    expect(heading).to_have_text("Everything works")
    expect(redis).to_contain_text("up")


def test_the_api_away_is_said_with_what_to_run_and_it_recovers_alone(tabs: Tabs, stack: Stack) -> None:
    tabs.expected += [REFUSED]
    page = tabs.open(stack.page)
    page.clock.install()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything works")
    api = stack.cli.services()["api"]["pid"]
    os.kill(api, signal.SIGKILL)
    # Asked while it is being killed, the browser may find a connection half closed, which is another case than an API away.
    until(lambda: not Path(f"/proc/{api}").exists())
    try:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        away = page.get_by_role("region", name="The API is away")
        expect(away.get_by_role("alert")).to_contain_text(f"{stack.api}: it cannot be reached")
        expect(away).to_contain_text(re.compile(r"Next try in \d+ s|Trying…"))
        for command in ("jeex status", "jeex doctor", "jeex up"):
            expect(away.get_by_text(command, exact=True)).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text("The API does not answer")
        components = page.get_by_role("list", name="Components").get_by_role("listitem")
        expect(components.nth(0)).to_contain_text("away")
        expect(components.nth(1)).to_contain_text("unknown")  # what was last known is no longer claimed
        away.get_by_role("button", name="Try now").click()
        expect(away.get_by_role("button", name="Try now")).to_be_focused()
        shot(page, "away")
        # One who comes now sees the page as well, and what to do.
        late = tabs.open(stack.page)
        late.clock.install()
        expect(late.get_by_role("region", name="The API is away")).to_be_visible()
        expect(late.get_by_role("heading", level=1)).to_have_text("The API does not answer")
    finally:
        stack.cli.run("up", "api")
    for one in (page, late):
        one.clock.fast_forward(20_000)  # more than the longest wait for the next try
        expect(one.get_by_role("heading", level=1)).to_have_text("Everything works")
        expect(one.get_by_role("region", name="The API is away")).to_have_count(0)
        expect(one.get_by_role("status").filter(has_text="The API answers again.")).to_be_visible()


def test_links_lead_to_the_documentation_of_the_api(tabs: Tabs, stack: Stack) -> None:
    page = tabs.open(stack.page)
    links = page.get_by_role("navigation", name="Documentation").get_by_role("link")
    for link, path in zip(links.all(), ("/docs", "/openapi.json"), strict=True):
        assert link.get_attribute("href") == stack.api + path
        assert request("GET", stack.api + path)[0] == 200


def test_a_new_version_is_seen_at_once_and_the_policy_is_strict(tabs: Tabs, stack: Stack) -> None:
    page = tabs.open(stack.page)
    for path in [
        "/",
        *page.eval_on_selector_all(
            "script[src], link[href]", "all => all.map((one) => new URL(one.src || one.href).pathname)"
        ),
    ]:
        status, _, headers = request("GET", stack.page + path)
        assert (status, headers["cache-control"]) == (200, "no-cache")
        again, _, headers = request("GET", stack.page + path, headers={"If-None-Match": headers["etag"]})
        assert (again, headers["cache-control"]) == (304, "no-cache")
    policy = request("GET", stack.page)[2]["content-security-policy"]
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "unsafe" not in policy
    assert f"connect-src {stack.api};" in policy
    # What the browser makes of it: text does not become markup, not even by mistake, and nobody else is spoken to.
    tabs.expected += ["TrustedHTML", "Content Security Policy", "policy"]
    assert (
        page.evaluate("(() => { try { document.body.innerHTML = '<b>x</b>' } catch (error) { return error.name } })()")
        == "TypeError"
    )
    assert page.evaluate("fetch('http://127.0.0.1:9/').catch((error) => error.name)") == "TypeError"
    tabs.asked = [url for url in tabs.asked if url != "http://127.0.0.1:9/"]


def test_a_page_that_came_in_parts_is_loaded_again(tabs: Tabs, stack: Stack) -> None:
    tabs.expected.append("ERR_FAILED")
    page = tabs.open(stack.page)
    page.route("**/views/jobs.js", lambda route: route.abort(), times=1)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything works")
    assert page.evaluate("history.state") is None
    page.route("**/views/jobs.js", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="This page was not loaded completely.")).to_be_visible()
    page.unroute("**/views/jobs.js")
    page.get_by_role("link", name="Load it again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything works")

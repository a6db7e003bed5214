"""Who is signed in, what of the credential is kept where, and how it ends."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.frontend.conftest import Stack, Tabs, Tenant, shot, sign_in

pytestmark = pytest.mark.e2e
UNAUTHORIZED = r"^Failed to load resource: .* 401 "


def kept(page: Page) -> str:
    """Everything that the browser stores for the page, and the page's own text and address."""
    return str(
        page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state, location.href,"
            " document.documentElement.outerHTML])"
        )
    )


def test_the_key_is_in_memory_alone_and_the_token_goes_on_after_a_reload(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    page = tabs.open(f"{stack.page}/#/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_label("API key")).to_have_attribute("type", "password")
    sign_in(page, tenant.key)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("main")).to_contain_text(f"alice@{tenant.slug}.example")
    expect(page.get_by_role("main")).to_contain_text("owner")
    secret = tenant.key.rpartition("_")[2]
    assert secret not in kept(page)
    token = page.evaluate("JSON.parse(sessionStorage.getItem('jeex.token'))")
    assert token["value"].count(".") == 2  # a JWT, of ten minutes
    assert 0 < token["until"] - page.evaluate("Date.now()") <= 600_000
    assert page.evaluate("Object.keys(sessionStorage)") == ["jeex.token"]
    assert page.evaluate("Object.keys(localStorage)") == []
    page.reload()
    expect(page.get_by_role("main")).to_contain_text(f"alice@{tenant.slug}.example")
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"The session ends at \d"))
    assert all(secret not in url and token["value"] not in url for url in tabs.asked)
    # Another tab knows nothing of it.
    other = tabs.open(f"{stack.page}/#/account")
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status").filter(has_text="You are signed out")).to_be_visible()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert token["value"] not in kept(page)
    page.reload()
    page.get_by_role("link", name="Projects").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_wrong_key_is_explained_with_its_request_and_how_to_trace_it(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    tabs.expected.append(UNAUTHORIZED)
    page = tabs.open(f"{stack.page}/#/projects")
    key = page.get_by_label("API key")
    key.fill("hunter2")
    page.keyboard.press("Enter")
    alert = page.get_by_role("main").get_by_role("alert")
    expect(alert).to_contain_text("An API key begins with jx_")
    asked = [url for url in tabs.asked if "tokens" in url]
    assert asked == []  # what cannot be a key is sent nowhere
    key.fill(tenant.key[:-1] + ("A" if tenant.key[-1] != "A" else "B"))
    with page.expect_response("**/api/v1/tokens") as answered:
        page.keyboard.press("Enter")
    request_id = answered.value.headers["x-request-id"]
    expect(alert).to_contain_text("Unauthorized (401)")
    expect(alert).to_contain_text("This API key is not valid.")
    expect(alert.get_by_text(f"jeex trace {request_id}", exact=True)).to_be_visible()
    expect(key).to_be_focused()
    expect(key).to_have_attribute("aria-invalid", "true")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    alert.get_by_role("button", name="Copy the command").click()
    expect(alert.get_by_role("button", name="Copy the command")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"jeex trace {request_id}"
    shot(page, "refused")


def test_a_session_without_its_key_ends_clearly(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    page = tabs.open(f"{stack.page}/#/account")
    sign_in(page, tenant.key)
    page.clock.install()
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("The session ends at")
    page.clock.fast_forward("10:01")
    expect(page.get_by_role("status").filter(has_text="Your session has ended. Sign in again")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.evaluate("sessionStorage.length") == 0


def test_while_the_page_has_the_key_its_token_is_renewed(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    page = tabs.open(f"{stack.page}/#/account")
    page.clock.install()
    sign_in(page, tenant.key)
    first = page.evaluate("sessionStorage.getItem('jeex.token')")
    with page.expect_response("**/api/v1/tokens"):
        page.clock.fast_forward("09:05")
    page.wait_for_function("(first) => sessionStorage.getItem('jeex.token') !== first", arg=first)
    expect(page.get_by_role("main")).to_contain_text("renewed by itself")


def test_a_key_that_was_revoked_ends_the_session(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    tabs.expected.append(UNAUTHORIZED)
    member = tenant.member("member")
    page = tabs.open(f"{stack.page}/#/projects")
    page.clock.install()
    sign_in(page, member.key)
    keys = tenant.ask("GET", "/keys").body["items"]
    theirs = next(one for one in keys if one["name"] == "test")
    assert tenant.ask("DELETE", f"/keys/{theirs['id']}").status == 204
    page.clock.fast_forward("09:05")
    expect(page.get_by_role("status").filter(has_text="Your key is no longer valid.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("API key").fill(member.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("This API key has been revoked.")

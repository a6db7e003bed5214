"""For everybody: by keyboard, by ear, on a small screen, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.frontend.conftest import Stack, Tabs, Tenant, shot, sign_in

pytestmark = pytest.mark.e2e
TEXT = "# A title\n\n" + "word " * 80 + "x" * 200


def walk(page: Page, tenant: Tenant) -> Iterator[str]:
    """From view to view, dialogs and mistakes included; the name of each, once it is there."""
    project = tenant.made("/projects", slug="handbook", name="Handbook " + "x" * 60, description="How we work")["id"]
    path = "a/rather/long/path-that-goes-on-and-on-and-does-not-end"
    tenant.made("/documents", project_id=project, path=path, title="Install", content=TEXT)
    main, dialog = page.get_by_role("main"), page.get_by_role("dialog")
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything works")
    page.get_by_text("The checks of this session in numbers").click()
    yield "health"
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name="Sign in").click()
    expect(main.get_by_role("alert")).to_be_visible()
    yield "sign-in"
    sign_in(page, tenant.key)
    yield "account"
    page.get_by_role("link", name="Projects").click()
    expect(main.get_by_role("listitem")).to_have_count(1)
    yield "projects"
    main.get_by_role("link", name="Handbook").click()
    expect(main.get_by_role("list", name="Documents")).to_be_visible()
    yield "project"
    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Name").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("This is needed.")).to_be_visible()
    yield "dialog"
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Discard").click()
    main.get_by_role("link", name="Install").click()
    expect(page.get_by_role("region", name="Content")).to_be_visible()
    yield "document"
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    yield "jobs"


@pytest.mark.timeout(300)  # axe looks at every view twice
def test_every_view_by_ear_by_night_and_on_a_small_screen(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    tabs.expected.append(r"^Failed to load resource: .* 404 ")
    page = tabs.open(stack.page, color_scheme="light", reduced_motion="reduce")
    axe, contrast = Axe(), {"runOnly": ["color-contrast"]}
    for view in walk(page, tenant):
        found = axe.run(page)
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"
        shot(page, f"{view}-light")
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found = axe.run(page, options=contrast)
        assert found.violations_count == 0, f"{view} by night: {found.generate_report()}"
        shot(page, f"{view}-dark")
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        for width in (1920, 320):  # nothing runs out of the page
            page.set_viewport_size({"width": width, "height": 640})
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"{view} at {width}"
        shot(page, f"{view}-320")
        page.set_viewport_size({"width": 1180, "height": 860})
        assert page.evaluate("document.getAnimations().length") == 0  # who wants nothing to move gets it


def test_everything_by_keyboard(tabs: Tabs, stack: Stack, tenant: Tenant) -> None:
    tenant.made("/projects", slug="handbook", name="Handbook")
    page = tabs.open(f"{stack.page}/#/projects")
    heading, dialog = page.get_by_role("heading", level=1), page.get_by_role("dialog")

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    # The first thing is the way past the navigation; what has the focus can be seen.
    press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    press("Tab")
    key = page.get_by_label("API key")
    expect(key).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.insert_text(tenant.key)
    press("Enter")
    expect(heading).to_have_text("Projects")
    expect(heading).to_be_focused()
    press("Tab")
    expect(page.get_by_role("button", name="New project")).to_be_focused()
    press("Enter")
    expect(dialog.get_by_label("Name")).to_be_focused()
    # The focus stays in the dialog (or goes to the browser), and returns to what opened it.
    for _ in range(8):
        press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="New project")).to_be_focused()
    press("Tab")
    expect(page.get_by_label("Sort by")).to_be_focused()
    press("Tab")
    expect(page.get_by_role("link", name="Handbook")).to_be_focused()
    press("Enter")
    expect(heading).to_have_text("Handbook")
    expect(page.get_by_role("navigation", name="Views").locator("[aria-current=page]")).to_have_text("Projects")
    page.go_back()
    expect(heading).to_have_text("Projects")
    expect(heading).to_be_focused()


def test_landmarks_and_the_theme(tabs: Tabs, stack: Stack) -> None:
    page = tabs.open(stack.page, color_scheme="light")
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark  # it is kept
    page.get_by_role("button", name="Use the light theme").click()
    assert page.evaluate(ground) == light
    assert page.evaluate("localStorage.length") == 0  # as the system again
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark
    expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()

"""Projects and documents: lists in pages; rows made, changed by two people at once, deleted and brought back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.frontend.conftest import Tabs, Tenant, shot

pytestmark = pytest.mark.e2e
MARKUP = "# Hello\n<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\n"


def refused(status: int) -> str:
    return rf"^Failed to load resource: .* {status} "


def test_a_project_and_its_document_from_first_to_last(tabs: Tabs, tenant: Tenant, signed_in: Callable[..., Page]) -> None:
    tabs.expected.append(refused(422))
    tabs.expected.append(refused(409))
    tenant.made("/projects", slug="taken", name="Taken")
    page = signed_in("#/projects")
    heading, dialog = page.get_by_role("heading", level=1), page.get_by_role("dialog")
    page.get_by_role("button", name="New project").click()
    expect(dialog.get_by_label("Name")).to_be_focused()
    # What is wrong is said at its field, by the page or by the API.
    dialog.get_by_label("Slug").fill("Not A Slug")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_text("This is needed.")).to_be_visible()
    expect(dialog.get_by_label("Name")).to_be_focused()
    expect(dialog.get_by_label("Slug")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Name").fill("The <b>handbook</b>")
    dialog.get_by_label("Slug").fill("taken")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Conflict (409)")
    expect(dialog.get_by_role("alert")).to_contain_text("jeex trace ")
    dialog.get_by_label("Slug").fill("handbook")
    dialog.get_by_label("Slug").press("Enter")
    expect(heading).to_have_text("The <b>handbook</b>")
    expect(heading).to_be_focused()
    page.get_by_role("button", name="New document").click()
    dialog.get_by_label("Title").fill("Install")
    dialog.get_by_label("Path").fill("guides/install")
    dialog.get_by_label("Content").fill(MARKUP)
    dialog.get_by_role("button", name="Create").click()
    expect(heading).to_have_text("Install")
    # Text is text, whatever it looks like.
    content = page.get_by_role("region", name="Content")
    expect(content).to_have_text(MARKUP)
    assert content.locator("*").count() == 0
    expect(page).to_have_title("Install · jeex")
    shot(page, "document")
    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Status").select_option("published")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="The document is saved.")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("published")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()  # where one was before
    page.get_by_role("navigation", name="Where you are").get_by_role("link", name="The <b>handbook</b>").click()
    expect(page.get_by_role("list", name="Documents").get_by_role("link")).to_have_text(["Install"])
    # Deleting asks, and can be undone.
    page.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text("Its documents go with it.")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("list", name="Projects").get_by_role("link")).to_have_text(["Taken"])
    page.get_by_role("button", name="Undo").click()
    expect(heading).to_have_text("The <b>handbook</b>")
    expect(page.get_by_role("list", name="Documents").get_by_role("link")).to_have_text(["Install"])


def test_two_people_change_one_document(tabs: Tabs, tenant: Tenant, signed_in: Callable[..., Page]) -> None:
    tabs.expected.append(refused(412))
    project = tenant.made("/projects", slug="handbook", name="Handbook")["id"]
    document = tenant.made("/documents", project_id=project, path="a", title="Mine", content="one\r\ntwo")["id"]
    page = signed_in(f"#/documents/{document}")
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Title").fill("My title")
    theirs = tenant.ask("PATCH", f"/documents/{document}", {"title": "Their title", "content": "three"}, If_Match="*")
    assert theirs.status == 200
    dialog.get_by_role("button", name="Save").click()
    alert = dialog.get_by_role("alert")
    expect(alert).to_contain_text("Somebody was faster")
    expect(alert).to_contain_text("saved as version 2. Yours is not saved, and not lost.")
    expect(alert.get_by_label("Title, theirs")).to_have_text("Their title")
    expect(dialog.get_by_label("Title", exact=True)).to_have_value("My title")
    shot(page, "conflict")
    # Mine on top of theirs: what I did not touch is as they left it.
    dialog.get_by_role("button", name="Keep mine").click()
    expect(dialog.get_by_label("Content")).to_have_value("three")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My title")
    now = tenant.ask("GET", f"/documents/{document}").body
    assert (now["title"], now["content"], now["row_version"]) == ("My title", "three", 3)
    # Theirs, and a change that is given up.
    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Title").fill("My next title")
    assert tenant.ask("PATCH", f"/documents/{document}", {"title": "Theirs again"}, If_Match="*").status == 200
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("button", name="Use theirs").click()
    expect(dialog.get_by_label("Title", exact=True)).to_have_value("Theirs again")
    dialog.get_by_label("Title", exact=True).fill("Half a thought")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Discard your changes?")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(dialog.get_by_label("Title", exact=True)).to_have_value("Half a thought")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Discard").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Theirs again")
    # What has changed since one looked is not deleted blindly.
    assert tenant.ask("PATCH", f"/documents/{document}", {"title": "Newer"}, If_Match="*").status == 200
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("Precondition Failed (412)")
    expect(page.get_by_role("heading", level=1)).to_have_text("Newer")


def test_lists_come_in_pages_and_in_the_order_that_was_chosen(tenant: Tenant, signed_in: Callable[..., Page]) -> None:
    project = tenant.made("/projects", slug="handbook", name="Handbook")["id"]
    for number in range(27):
        tenant.made("/documents", project_id=project, path=f"p{number:02}", title=f"Title {26 - number:02}")
    page = signed_in(f"#/projects/{project}")
    links = page.get_by_role("list", name="Documents").get_by_role("link")
    expect(links).to_have_count(25)
    expect(links.first).to_have_text("Title 26")
    expect(page.get_by_text("25 shown, there are more")).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    expect(links).to_have_count(27)
    expect(links.nth(25)).to_be_focused()  # where reading goes on
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    expect(page.get_by_text(re.compile("^27 shown$"))).to_be_visible()
    page.get_by_label("Sort by").select_option("Title")
    expect(links.first).to_have_text("Title 00")
    expect(links).to_have_count(25)
    page.get_by_role("button", name="Show more").click()
    expect(links.last).to_have_text("Title 26")


def test_who_may_only_read_is_offered_nothing_else(tenant: Tenant, signed_in: Callable[..., Page]) -> None:
    project = tenant.made("/projects", slug="handbook", name="Handbook")["id"]
    page = signed_in("#/projects", tenant.member("viewer").key)
    expect(page.get_by_role("list", name="Projects").get_by_role("link")).to_have_text(["Handbook"])
    expect(page.get_by_role("button", name="New project")).to_have_count(0)
    page.get_by_role("link", name="Handbook").click()
    expect(page.get_by_text("There is no document in this project yet.")).to_be_visible()
    expect(
        page.get_by_role("main").get_by_role("button").and_(page.get_by_text(re.compile("Edit|Delete|New")))
    ).to_have_count(0)
    assert page.url.endswith(project)


def test_what_is_not_there_is_said(tabs: Tabs, tenant: Tenant, signed_in: Callable[..., Page]) -> None:
    tabs.expected.append(refused(404))
    page = signed_in("#/projects/0199d5a0-0000-7000-8000-000000000001")
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("Not Found (404)")
    page.goto(page.url.partition("#")[0] + "#/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")

// One project and its documents.

import { h, pill, time } from "../dom.js";
import { Listing, chooser } from "../listing.js";
import { Row, attempts, create } from "../rows.js";
import { DOCUMENT_FIELDS } from "./document.js";
import { PROJECT_FIELDS } from "./projects.js";

const SORTS = [
  ["path", "Path"],
  ["-updated_at", "Last changed"],
  ["-created_at", "Newest"],
  ["title", "Title"],
];

export async function project(root, page, signal, id) {
  const { session, notices } = page;
  const one = new Row(session, `/api/v1/projects/${id}`);
  const heading = h("h1", { tabindex: "-1" }, "Project");
  const facts = h("div", { class: "facts-line" });
  const description = h("p", { class: "lead" });
  const buttons = h("div", { class: "actions" });
  const said = h("div", { class: "said" });
  const list = new Listing(page, signal, {
    label: "Documents",
    path: "/api/v1/documents",
    values: { project_id: id, sort: SORTS[0][0] },
    item: row,
    empty: "There is no document in this project yet.",
  });
  const writes = session.who.user.role !== "viewer";
  const below = h(
    "section",
    { hidden: true, "aria-labelledby": "documents" },
    h(
      "div",
      { class: "head" },
      h("h2", { id: "documents" }, "Documents"),
      writes ? button("New document", addDocument) : null,
    ),
    h(
      "div",
      { class: "tools" },
      chooser("sort", "Sort by", SORTS, (sort) => list.load({ sort })),
    ),
    list.element,
  );
  root.append(
    h("nav", { class: "trail", "aria-label": "Where you are" }, h("a", { href: "#/projects" }, "Projects")),
    h("div", { class: "head" }, heading, buttons),
    facts,
    description,
    said,
    below,
  );

  const doing = attempts(said, signal, async () => {
    await one.read(signal);
    draw();
  });

  function draw() {
    const { name, slug, status, updated_at: updated, description: text, row_version: version } = one.data;
    heading.textContent = name;
    facts.replaceChildren(
      pill(status),
      h("code", {}, slug),
      h("span", { class: "soft" }, `version ${version}, changed `, time(updated)),
    );
    description.textContent = text;
    description.hidden = !text;
  }

  function button(words, work, kind = "") {
    return h("button", { type: "button", class: kind || null, onclick: () => doing(work) }, words);
  }

  async function edit() {
    if (await one.edit({ title: "Edit project", fields: PROJECT_FIELDS, signal })) notices.tell("The project is saved.");
    draw(); // after a conflict, theirs
  }

  async function remove() {
    const { name } = one.data;
    const gone = await one.remove({
      title: `Delete “${name}”?`,
      text: ["Its documents go with it.", "All of it can be brought back until it is purged."],
      signal,
    });
    if (!gone) return;
    location.hash = "#/projects";
    notices.tell(`“${name}” is deleted.`, {
      action: {
        label: "Undo",
        run: async () => {
          await one.restore();
          location.hash = `#/projects/${id}`;
          notices.tell(`“${name}” is back, with its documents.`);
        },
      },
    });
  }

  async function exported() {
    await session.ask(`/api/v1/projects/${id}/export`, { method: "POST" });
    notices.tell("The export is queued.", { link: { label: "Watch it in Jobs", href: "#/jobs" } });
  }

  async function addDocument() {
    const made = await create(session, {
      title: "New document",
      path: "/api/v1/documents",
      fields: DOCUMENT_FIELDS,
      fixed: { project_id: id },
      signal,
      wide: true,
    });
    if (made) location.hash = `#/documents/${made.id}`;
  }

  await doing(async () => {
    await one.read(signal);
    draw();
    if (writes) buttons.append(button("Export", exported), button("Edit", edit), button("Delete", remove, "danger"));
    else buttons.append(button("Export", exported));
    below.hidden = false;
    await list.load();
  });
}

function row(one) {
  return h(
    "li",
    {},
    h("a", { class: "row-title", href: `#/documents/${one.id}` }, one.title),
    h("p", { class: "row-sub" }, h("code", {}, one.path)),
    h("p", { class: "row-side" }, pill(one.status), h("span", { class: "soft" }, `${one.type}, `, time(one.updated_at))),
  );
}

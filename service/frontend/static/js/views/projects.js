// The tenant's projects.

import { h, pill, time } from "../dom.js";
import { Listing, chooser } from "../listing.js";
import { create } from "../rows.js";

const SORTS = [
  ["-updated_at", "Last changed"],
  ["-created_at", "Newest"],
  ["name", "Name"],
  ["slug", "Slug"],
];

export const PROJECT_FIELDS = [
  { name: "name", label: "Name", kind: "line", required: true, limit: 200 },
  {
    name: "slug",
    label: "Slug",
    kind: "line",
    required: true,
    limit: 63,
    pattern: "[a-z0-9]([a-z0-9\\-]{0,61}[a-z0-9])?",
    hint: "Small letters, digits and hyphens; part of addresses.",
  },
  { name: "description", label: "Description", kind: "text", limit: 4000, rows: 4 },
  { name: "status", label: "Status", kind: "choice", options: ["active", "archived"] },
];

export function projects(root, page, signal) {
  const { session } = page;
  const list = new Listing(page, signal, {
    label: "Projects",
    path: "/api/v1/projects",
    values: { sort: SORTS[0][0] },
    item: row,
    empty: "There is no project yet. “New project” makes the first one.",
  });
  const add = h("button", { type: "button", class: "primary" }, "New project");
  add.addEventListener("click", async () => {
    const made = await create(session, { title: "New project", path: "/api/v1/projects", fields: PROJECT_FIELDS, signal });
    if (made) location.hash = `#/projects/${made.id}`;
  });
  root.append(
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Projects"), session.who.user.role === "viewer" ? null : add),
    h(
      "div",
      { class: "tools" },
      chooser("sort", "Sort by", SORTS, (sort) => list.load({ sort })),
    ),
    list.element,
  );
  list.load();
}

function row(one) {
  return h(
    "li",
    {},
    h("a", { class: "row-title", href: `#/projects/${one.id}` }, one.name),
    h("p", { class: "row-sub" }, h("code", {}, one.slug)),
    h("p", { class: "row-side" }, pill(one.status), h("span", { class: "soft" }, time(one.updated_at))),
  );
}

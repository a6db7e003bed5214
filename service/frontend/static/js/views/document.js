// One document. Its content is shown as the text that it is, whatever markup it holds.

import { h, pill, time } from "../dom.js";
import { Row, attempts } from "../rows.js";

export const DOCUMENT_FIELDS = [
  { name: "title", label: "Title", kind: "line", half: true, required: true, limit: 300 },
  {
    name: "path",
    label: "Path",
    kind: "line",
    half: true,
    required: true,
    limit: 512,
    pattern: "[a-z0-9][a-z0-9._\\-]*(/[a-z0-9][a-z0-9._\\-]*)*",
    hint: "Such as guides/install, in small letters.",
  },
  { name: "type", label: "Type", kind: "choice", half: true, options: ["markdown", "text", "html", "json"] },
  { name: "status", label: "Status", kind: "choice", half: true, options: ["draft", "published", "archived"] },
  { name: "content", label: "Content", kind: "text", rows: 14, mono: true },
];

export async function documentView(root, page, signal, id) {
  const { session, notices } = page;
  const one = new Row(session, `/api/v1/documents/${id}`);
  const back = h("a", { href: "#/projects" }, "Projects");
  const heading = h("h1", { tabindex: "-1" }, "Document");
  const facts = h("div", { class: "facts-line" });
  const buttons = h("div", { class: "actions" });
  const said = h("div", { class: "said" });
  const content = h("pre", { class: "content card", tabindex: "0", role: "region", "aria-label": "Content", hidden: true });
  root.append(
    h(
      "nav",
      { class: "trail", "aria-label": "Where you are" },
      h("a", { href: "#/projects" }, "Projects"),
      h("span", { "aria-hidden": "true" }, "/"),
      back,
    ),
    h("div", { class: "head" }, heading, buttons),
    facts,
    said,
    content,
  );

  const doing = attempts(said, signal, async () => {
    await one.read(signal);
    draw();
  });

  function draw() {
    const { title, path, type, status, version, updated_at: updated, content: text, project_id: project } = one.data;
    heading.textContent = title;
    back.href = `#/projects/${project}`;
    if (back.dataset.of !== project) named(project).catch(() => {});
    facts.replaceChildren(
      pill(status),
      h("code", {}, path),
      h("span", { class: "soft" }, `${type}, edition ${version}, changed `, time(updated)),
    );
    content.hidden = false;
    content.textContent = text;
    content.classList.toggle("soft", text === "");
    if (text === "") content.textContent = "This document is empty.";
  }

  async function named(project) {
    back.dataset.of = project;
    back.textContent = "Project"; // what it stays where the name cannot be read: the link works all the same
    back.textContent = (await session.ask(`/api/v1/projects/${project}`, { signal })).data.name;
  }

  async function edit() {
    if (await one.edit({ title: "Edit document", fields: DOCUMENT_FIELDS, signal, wide: true }))
      notices.tell("The document is saved.");
    draw();
  }

  async function remove() {
    const { title, project_id: project } = one.data;
    if (!(await one.remove({ title: `Delete “${title}”?`, text: "It can be brought back until it is purged.", signal })))
      return;
    location.hash = `#/projects/${project}`;
    notices.tell(`“${title}” is deleted.`, {
      action: {
        label: "Undo",
        run: async () => {
          await one.restore();
          location.hash = `#/documents/${id}`;
          notices.tell(`“${title}” is back.`);
        },
      },
    });
  }

  await doing(async () => {
    await one.read(signal);
    draw();
    if (session.who.user.role === "viewer") return;
    buttons.append(
      h("button", { type: "button", onclick: () => doing(edit) }, "Edit"),
      h("button", { type: "button", class: "danger", onclick: () => doing(remove) }, "Delete"),
    );
  });
}

// Whose credential it is, and how long it holds.

import { h } from "../dom.js";

const MODES = {
  renewed: () =>
    "The key is in this page's memory. Its token is renewed by itself for as long as the page is open; a reload goes on with the token.",
  key: () => "The API could issue no token (is Vault away?), so the key itself is sent. Nothing outlives a reload.",
  ends: (session) =>
    `The page was reloaded, so the key is forgotten. The session ends at ${session.until?.toLocaleTimeString()}.`,
};

export function account(root, page) {
  const { session } = page;
  const { tenant, user, key_id: keyId } = session.who;
  const facts = [
    ["Tenant", tenant.name],
    ["Slug", h("code", {}, tenant.slug)],
    ["Tenant id", h("code", {}, tenant.id)],
    ["User", user.display_name],
    ["Email", user.email],
    ["Role", user.role],
    ["Credential", keyId ? h("code", {}, keyId) : "a token of ten minutes"],
  ];
  const out = h("button", { type: "button", class: "primary" }, "Sign out");
  out.addEventListener("click", () => {
    session.end();
    location.hash = "#/";
    page.notices.tell("You are signed out. Key and token are forgotten.");
  });
  root.append(
    h("h1", { tabindex: "-1" }, tenant.name),
    h("p", { class: "lead" }, `Signed in as ${user.email}.`),
    h(
      "dl",
      { class: "facts card" },
      facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    h("p", { class: "soft" }, MODES[session.mode](session)),
    h("div", { class: "actions start" }, out),
  );
}

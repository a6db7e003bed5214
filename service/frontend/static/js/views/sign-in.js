// A key, typed or pasted. It is not a password of a person's: nothing should offer to remember it.

import { h } from "../dom.js";
import { problemBox } from "../problem.js";

export function signIn(root, page, signal) {
  const said = h("div", { class: "said" });
  const input = h("input", {
    id: "key",
    type: "password",
    name: "key",
    required: true,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    placeholder: "jx_…",
    "aria-describedby": "key-hint",
  });
  const show = h("button", { type: "button", "aria-pressed": "false" }, "Show");
  show.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    show.setAttribute("aria-pressed", String(!shown));
  });
  const submit = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = h(
    "form",
    { class: "card sign-in", novalidate: true },
    said,
    h(
      "div",
      { class: "field" },
      h("label", { for: "key" }, "API key"),
      h("div", { class: "with-button" }, input, show),
      h(
        "p",
        { class: "hint", id: "key-hint" },
        "It stays in this page's memory alone, and is exchanged for a token of ten minutes.",
      ),
    ),
    h("div", { class: "actions start" }, submit),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    said.replaceChildren();
    try {
      await page.session.signIn(input.value); // the view is gone when that succeeds
      input.value = "";
    } catch (error) {
      if (signal.aborted) return;
      said.replaceChildren(problemBox(error));
      input.setAttribute("aria-invalid", "true");
      input.focus();
    } finally {
      submit.disabled = false;
    }
  });
  input.addEventListener("input", () => input.removeAttribute("aria-invalid"));
  root.append(
    h("h1", { tabindex: "-1" }, "Sign in"),
    h(
      "p",
      { class: "lead" },
      "Projects, documents and jobs belong to a tenant. Sign in with an API key of one of its users.",
    ),
    form,
    h(
      "p",
      { class: "soft" },
      "No key yet? ",
      h("code", {}, "jeex tenant create acme --admin you@acme.example"),
      " makes a tenant and its first key, ",
      h("code", {}, "jeex tenant key create"),
      " makes further ones.",
    ),
  );
}

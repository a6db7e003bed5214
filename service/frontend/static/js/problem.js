// What went wrong, for people: title, detail, and the id under which the logs have it.

import { Away, Problem } from "./api.js";
import { copyable, h } from "./dom.js";

// `again` is what the button does; without it there is none.
export function problemBox(error, { again } = {}) {
  const box = h("div", { class: "problem", role: "alert" });
  const said = described(error);
  box.append(h("p", { class: "problem-title" }, said.title), h("p", {}, said.detail));
  if (error instanceof Problem) {
    if (error.errors.length && !(error.errors.length === 1 && error.errors[0].detail === error.detail)) {
      box.append(
        h(
          "ul",
          {},
          error.errors.map((one) => h("li", {}, `${fieldOf(one) || "request"}: ${one.detail}`)),
        ),
      );
    }
    if (error.hint) box.append(h("p", {}, `What helps: ${error.hint}`));
    if (error.requestId) {
      box.append(
        h("p", { class: "trace" }, h("span", {}, "Request "), copyable(error.requestId, "the request id")),
        h(
          "p",
          { class: "trace" },
          h("span", {}, "What happened, across all services: "),
          copyable(`jeex trace ${error.requestId}`, "the command"),
        ),
      );
    }
  }
  if (again) box.append(h("button", { type: "button", onclick: again }, "Try again"));
  return box;
}

// The field that an error of a body is about: "/body/slug" and "/slug" are both "slug".
export function fieldOf(one) {
  return (one.pointer ?? "").replace(/^\/(body|query|path|header)(?=\/)/, "").slice(1);
}

export function described(error) {
  if (error instanceof Problem) {
    const later = error.status === 429 && error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
    return { title: `${error.title} (${error.status})`, detail: `${sentence(error.detail)}${later}` };
  }
  if (error instanceof Away) {
    return { title: "The API does not answer", detail: `${sentence(error.message)} Nothing is known to have changed.` };
  }
  return { title: "That did not work", detail: sentence(error.message) };
}

function sentence(text) {
  if (!text) return "";
  const begun = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

// Dialogs are the browser's own: it keeps the focus inside, closes on Escape, and gives the focus back.

import { h, unique } from "./dom.js";

// Opens at once. `closed` is called with the dialog's return value once it is gone. `signal` closes it.
export function open({ title, content, wide = false, signal, closed, cancel }) {
  const id = unique("dialog");
  const dialog = h("dialog", { "aria-labelledby": id, class: wide ? "wide" : null }, h("h2", { id }, title), content);
  const opener = document.activeElement;
  document.body.append(dialog);
  dialog.addEventListener("cancel", (event) => {
    if (cancel && !cancel()) event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (opener?.isConnected) opener.focus();
    closed?.(dialog.returnValue);
  });
  signal?.addEventListener("abort", () => dialog.close(""));
  dialog.showModal();
  return dialog;
}

// True when the action was chosen.
export function confirm({ title, text, action, danger = false, signal }) {
  return new Promise((resolve) => {
    const content = h(
      "form",
      { method: "dialog" },
      [text].flat().map((one) => h("p", {}, one)),
      h(
        "div",
        { class: "actions" },
        h("button", { value: "", autofocus: true }, "Keep it"),
        h("button", { value: "yes", class: danger ? "danger" : "primary" }, action),
      ),
    );
    open({ title, content, signal, closed: (value) => resolve(value === "yes") });
  });
}

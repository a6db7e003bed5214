// What was done, said once and politely; it stays until it is put away or the next one comes.

import { h } from "./dom.js";
import { problemBox } from "./problem.js";

export class Notices {
  #place;

  constructor(place) {
    this.#place = place;
  }

  clear() {
    this.#place.replaceChildren();
  }

  // `action`: { label, run }, such as undoing it. `link`: { label, href }.
  tell(text, { action, link } = {}) {
    const notice = h("div", { class: "notice" }, h("p", {}, text));
    if (link) notice.append(h("a", { href: link.href, onclick: () => this.clear() }, link.label));
    if (action) {
      const button = h("button", { type: "button" }, action.label);
      button.addEventListener("click", async () => {
        button.disabled = true;
        try {
          await action.run();
        } catch (error) {
          this.fail(error);
        }
      });
      notice.append(button);
    }
    this.#show(notice);
  }

  fail(error) {
    this.#show(h("div", { class: "notice" }, problemBox(error)));
  }

  #show(notice) {
    notice.append(
      h(
        "button",
        { type: "button", class: "quiet", "aria-label": "Dismiss this message", onclick: () => notice.remove() },
        "✕",
      ),
    );
    this.#place.replaceChildren(notice);
  }
}

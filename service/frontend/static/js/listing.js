// A list of the API's, a page at a time: "Show more" goes on where the page before it ended (`next_cursor`).

import { h, say } from "./dom.js";
import { problemBox } from "./problem.js";
import { query } from "./api.js";

const LIMIT = 25;

// `path` and `values` say what is asked, `item(row)` makes an <li>, `empty` is shown where there is nothing.
export class Listing {
  #page;
  #signal;
  #options;
  #items;
  #said = h("div", { class: "said" });
  #count = h("p", { class: "soft", role: "status" });
  #more = h("button", { type: "button", hidden: true }, "Show more");
  #cursor = null;
  #turn = 0;

  constructor(page, signal, options) {
    this.#page = page;
    this.#signal = signal;
    this.#options = options;
    this.#items = h("ul", { class: "rows card", "aria-label": options.label, hidden: true });
    this.#more.addEventListener("click", () => this.#load(true));
    this.element = h(
      "div",
      { class: "listing" },
      this.#said,
      this.#items,
      h("div", { class: "listing-end" }, this.#count, this.#more),
    );
  }

  // From the start, with `values` added to what is asked.
  load(values = {}) {
    this.#options = { ...this.#options, values: { ...this.#options.values, ...values } };
    this.#cursor = null;
    return this.#load(false);
  }

  async #load(further) {
    const turn = (this.#turn += 1); // an answer to what was asked before is not shown
    const { path, values, item, empty } = this.#options;
    this.#more.disabled = true;
    this.#items.setAttribute("aria-busy", "true");
    try {
      const asked = query({ ...values, limit: LIMIT, cursor: this.#cursor });
      const { data } = await this.#page.session.ask(`${path}${asked}`, { signal: this.#signal });
      if (turn !== this.#turn) return;
      const rows = data.items.map(item);
      this.#said.replaceChildren();
      if (further) this.#items.append(...rows);
      else this.#items.replaceChildren(...rows);
      this.#cursor = data.next_cursor;
      this.#more.hidden = data.next_cursor === null;
      const shown = this.#items.children.length;
      this.#items.hidden = shown === 0;
      if (shown === 0) this.#said.replaceChildren(h("p", { class: "empty card" }, empty));
      say(this.#count, shown === 0 ? "" : `${shown} shown${data.next_cursor ? ", there are more" : ""}`);
      if (further) rows[0]?.querySelector("a, button")?.focus(); // where reading goes on
    } catch (error) {
      if (this.#signal.aborted || turn !== this.#turn) return;
      this.#said.replaceChildren(problemBox(error, { again: () => this.#load(further) }));
    } finally {
      this.#more.disabled = false;
      this.#items.removeAttribute("aria-busy");
    }
  }
}

// A choice above a list. `options`: [[value, words]].
export function chooser(id, label, options, chosen) {
  const select = h(
    "select",
    { id },
    options.map(([value, words]) => h("option", { value }, words)),
  );
  select.addEventListener("change", () => chosen(select.value));
  return h("div", { class: "chooser" }, h("label", { for: id }, label), select);
}

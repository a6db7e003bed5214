// One view at a time, by the part of the address after the #. A view gets a signal that ends with it: what it listens to
// and what it asks for goes with it.

import { h } from "./dom.js";
import { signIn } from "./views/sign-in.js";

export class Router {
  #views;
  #main;
  #page;
  #leaving = null;
  #title = "";

  // `views`: [{ path: RegExp, show(root, page, signal, ...found), open: needs nobody to be signed in, tab }].
  constructor(main, page, views) {
    this.#main = main;
    this.#page = page;
    this.#views = views;
  }

  start() {
    addEventListener("hashchange", () => this.show({ moved: true }));
    this.show();
  }

  // `moved`: somebody went here, so the heading gets the focus, and a screen reader reads it.
  show({ moved = false } = {}) {
    const path = location.hash.slice(1) || "/";
    const view = this.#views.find((one) => one.path.test(path));
    this.#leaving?.abort();
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const root = h("div", { class: "view" });
    this.#main.replaceChildren(root);
    for (const link of document.querySelectorAll("#tabs a")) {
      if (view && link.dataset.tab === view.tab) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (!view)
      root.append(
        h("h1", { tabindex: "-1" }, "There is nothing here"),
        h("p", {}, h("a", { href: "#/" }, "To the health of the stack")),
      );
    else if (!view.open && !this.#page.session.signedIn) signIn(root, this.#page, signal);
    else view.show(root, this.#page, signal, ...view.path.exec(path).slice(1));
    this.titled(root);
    // A view may find its heading out only later: its name, of what it reads.
    const watch = new MutationObserver(() => this.titled(root));
    watch.observe(root, { childList: true, subtree: true, characterData: true });
    signal.addEventListener("abort", () => watch.disconnect());
    if (moved) {
      scrollTo(0, 0);
      root.querySelector("h1")?.focus({ preventScroll: true });
    }
  }

  titled(root) {
    const heading = root.querySelector("h1")?.textContent ?? "";
    if (heading !== this.#title) document.title = heading ? `${heading} · jeex` : "jeex";
    this.#title = heading;
  }
}

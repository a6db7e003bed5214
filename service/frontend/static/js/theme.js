// Not a module: it runs before anything is drawn, so that a page in the dark never begins with a flash of light.
// Only a choice that differs from the system's is kept; choosing what the system has is going back to following it.
"use strict";
(() => {
  const STORED = "jeex.theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  function chosen() {
    try {
      return localStorage.getItem(STORED);
    } catch {
      return null; // storage is off: the system decides
    }
  }

  function dark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }

  function choose(theme) {
    const differs = (theme === "dark") !== system.matches;
    if (differs) root.dataset.theme = theme;
    else delete root.dataset.theme;
    try {
      if (differs) localStorage.setItem(STORED, theme);
      else localStorage.removeItem(STORED);
    } catch {
      // It holds until the page is left.
    }
  }

  function label(button) {
    button.setAttribute("aria-label", `Use the ${dark() ? "light" : "dark"} theme`);
    button.title = button.getAttribute("aria-label");
  }

  const theme = chosen();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    label(button);
    button.addEventListener("click", () => {
      choose(dark() ? "light" : "dark");
      label(button);
    });
    system.addEventListener("change", () => label(button));
  });
})();

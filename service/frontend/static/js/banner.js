// The API is away: why, when it is asked again, and what to run. It comes and goes by itself.

import { BASE } from "./api.js";
import { copyable, h, say } from "./dom.js";

export function banner(place, connection, notices) {
  const countdown = h("span", {});
  const why = h("span", {});
  const button = h("button", { type: "button" }, "Try now");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await connection.ask();
    button.disabled = false;
    if (connection.away) button.focus();
  });
  // Alert once, with what does not change; a countdown that is read out every second helps nobody.
  const alert = h(
    "div",
    { role: "alert" },
    h("p", { class: "problem-title" }, "The API is away"),
    h("p", {}, `${BASE}: `, why),
  );
  const box = h(
    "section",
    { class: "away", "aria-label": "The API is away" },
    alert,
    h("div", { class: "away-next" }, h("p", { "aria-hidden": "true" }, countdown), button),
    h(
      "ul",
      { class: "commands" },
      h("li", {}, copyable("jeex status", "the command"), " what runs"),
      h("li", {}, copyable("jeex doctor", "the command"), " what is wrong, and what mends it"),
      h("li", {}, copyable("jeex up", "the command"), " starts what is missing"),
    ),
    h(
      "details",
      {},
      h("summary", {}, "It runs, and this stays?"),
      h(
        "p",
        {},
        "Then it may not accept this page: ",
        h("code", {}, location.origin),
        " has to be in ",
        h("code", {}, "JEEX_CORS_ORIGINS"),
        ", and is where the page is opened as 127.0.0.1 or localhost.",
      ),
    ),
  );
  let ticking = null;

  function tick() {
    const seconds = Math.ceil((connection.next - Date.now()) / 1000);
    say(countdown, seconds > 0 ? `Next try in ${seconds} s` : "Trying…");
  }

  connection.addEventListener("away", () => {
    say(why, connection.reason);
    tick();
    ticking ??= setInterval(tick, 500);
    if (!box.isConnected) place.replaceChildren(box);
  });
  connection.addEventListener("back", () => {
    clearInterval(ticking);
    ticking = null;
    const focused = box.contains(document.activeElement);
    box.remove();
    notices.tell("The API answers again.");
    if (focused) document.querySelector("main h1")?.focus();
  });
}

// Asks the API how every component is, for as long as somebody looks, and remembers what it said. When nothing answers
// it asks less and less often, says when it will ask next, and notices by itself that the API is back.
//
// Events: "report" (a report came), "away" (no answer; `reason`, `next`), "back" (the first answer after that).

import { send } from "./api.js";

const EVERY = 5_000; // ms between two reports
const PATIENCE = 4_000; // ms to wait for one
const DELAYS = [1_000, 2_000, 4_000, 8_000, 15_000]; // ms until the next try, once nothing answered
const REMEMBERED = 60; // checks of each component

export class Connection extends EventTarget {
  report = null; // the newest
  history = new Map(); // name of a component -> [{ at, status, latency }], oldest first; status is up, down or unknown
  reason = ""; // why there was no answer; "" while there is one
  next = 0; // when the next try is, in ms of the clock
  #failures = 0;
  #timer = null;
  #asking = null;

  get away() {
    return this.#failures > 0;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.ask();
    });
    return this.ask();
  }

  // Now, whenever the next time would have been. Several who ask at once share one answer.
  ask() {
    clearTimeout(this.#timer);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(
        () => {
          if (!document.hidden) this.ask();
        },
        Math.max(0, this.next - Date.now()),
      );
    });
    return this.#asking;
  }

  async #ask() {
    try {
      const { data } = await send("/api/v1/system/status", { patience: PATIENCE });
      this.#remember(data);
    } catch (error) {
      this.#lost(error.message);
    }
  }

  #remember(report) {
    const wasAway = this.away;
    this.#failures = 0;
    this.reason = "";
    this.report = report;
    this.next = Date.now() + EVERY;
    for (const one of report.components) {
      if (!this.history.has(one.name)) this.history.set(one.name, []);
      this.#add(one.name, { at: new Date(), status: one.status, latency: one.latency_ms });
    }
    this.dispatchEvent(new Event("report"));
    if (wasAway) this.dispatchEvent(new Event("back"));
  }

  #lost(reason) {
    this.next = Date.now() + DELAYS[Math.min(this.#failures, DELAYS.length - 1)];
    this.#failures += 1;
    this.reason = reason;
    // The API itself did not answer. How the others are, nobody knows.
    for (const name of this.history.keys()) {
      this.#add(name, { at: new Date(), status: name === "api" ? "down" : "unknown", latency: null });
    }
    this.dispatchEvent(new Event("away"));
  }

  #add(name, check) {
    const checks = this.history.get(name);
    checks.push(check);
    if (checks.length > REMEMBERED) checks.shift();
  }
}

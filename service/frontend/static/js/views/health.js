// How every component is, and how it was since this page was opened.

import { bars, milliseconds, summary } from "../bars.js";
import { h, pill, say } from "../dom.js";

const NAMES = {
  api: "API",
  postgresql: "PostgreSQL",
  redis: "Redis",
  vault: "Vault",
  qdrant: "Qdrant",
  worker: "Worker",
  queue: "Queue",
};
const nameOf = (one) => NAMES[one] ?? one;

export function health(root, page, signal) {
  const { connection } = page;
  const mark = h("span", { class: "mark", "aria-hidden": "true" });
  const words = h("span", {}, "Asking the API…");
  const headline = h("h1", { tabindex: "-1", class: "headline" }, mark, words);
  const status = h("div", { role: "status" }, headline);
  const lead = h("p", { class: "lead" }, "\u00a0");
  const list = h("ul", { class: "components card", "aria-label": "Components" });
  const table = h("tbody", {});
  const details = h(
    "details",
    { class: "as-table", hidden: true },
    h("summary", {}, "The checks of this session in numbers"),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "The checks of this session" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["Component", "Checks", "Up", "Down", "Median", "Slowest"].map((one) => h("th", { scope: "col" }, one)),
          ),
        ),
        table,
      ),
    ),
  );
  const rows = new Map();
  const legend = h(
    "p",
    { class: "legend", hidden: true },
    "Each bar is one check since this page was opened, as high as its latency; the newest is at the right.",
  );
  root.append(status, lead, list, legend, details);

  function row(name) {
    if (!rows.has(name)) {
      const made = {
        version: h("p", { class: "soft" }),
        chart: h("div", { class: "chart" }),
        latency: h("p", { class: "latency" }),
        state: h("p", {}),
        detail: h("p", { class: "detail" }),
      };
      made.item = h(
        "li",
        {},
        h("div", { class: "name" }, h("h2", {}, nameOf(name)), made.version),
        made.chart,
        h("div", { class: "now" }, made.latency, made.state),
        made.detail,
      );
      rows.set(name, made);
      list.append(made.item);
    }
    return rows.get(name);
  }

  function draw() {
    const { report, away } = connection;
    if (!report && !away) return;
    for (const one of report?.components ?? []) {
      const state = away ? (one.name === "api" ? "away" : "unknown") : one.status;
      const shown = row(one.name);
      say(shown.version, one.version || (state === "up" ? "" : "version unknown"));
      say(shown.latency, state === "up" ? milliseconds(one.latency_ms) : "");
      if (shown.state.textContent !== state) shown.state.replaceChildren(pill(state));
      shown.item.dataset.state = state;
      say(shown.detail, away ? "" : one.detail);
      shown.chart.replaceChildren(bars(nameOf(one.name), connection.history.get(one.name)));
    }
    for (const [name, shown] of rows) {
      if (!report.components.some((one) => one.name === name)) {
        shown.item.remove();
        rows.delete(name);
      }
    }
    details.hidden = legend.hidden = !report;
    if (report)
      table.replaceChildren(...report.components.map((one) => counted(one.name, connection.history.get(one.name))));
    headlines(report, away);
  }

  function headlines(report, away) {
    headline.dataset.state = away ? "away" : report.status;
    list.classList.toggle("stale", away); // what was last known stays, and looks like it
    if (away) {
      say(words, "The API does not answer");
      say(
        lead,
        report
          ? `Last heard at ${new Date(report.checked_at).toLocaleTimeString()}. How the others are is not known.`
          : "Is the stack running?",
      );
      return;
    }
    const lost = report.components.filter((one) => one.status !== "up").map((one) => nameOf(one.name));
    say(words, lost.length ? `Not working: ${lost.join(", ")}` : "Everything works");
    say(lead, `jeex ${report.version}, checked at ${new Date(report.checked_at).toLocaleTimeString()}`);
  }

  function counted(name, checks) {
    const { checks: all, up, down, median, slowest } = summary(checks);
    const cells = [
      all,
      up,
      down,
      median === null ? "–" : milliseconds(median),
      slowest === null ? "–" : milliseconds(slowest),
    ];
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, nameOf(name)),
      cells.map((one) => h("td", {}, one)),
    );
  }

  for (const event of ["report", "away"]) connection.addEventListener(event, draw, { signal });
  draw();
}

"use strict";

const EVERY = 5000; // ms between two reports
const PATIENCE = 4000; // ms to wait for one
const NAMES = { api: "API", postgresql: "PostgreSQL", redis: "Redis", vault: "Vault", qdrant: "Qdrant" };

const api = document.querySelector('meta[name="api-url"]').content;
const summary = document.getElementById("summary");
const list = document.getElementById("components");
const checked = document.getElementById("checked");
const template = document.getElementById("component");

// A screen reader speaks whenever the text is set, so it is set only when it says something new.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function show(report) {
  const lost = report.components.filter((one) => one.status !== "up").map((one) => NAMES[one.name] ?? one.name);
  summary.dataset.state = report.status;
  say(summary, lost.length === 0 ? "Everything works" : `Not working: ${lost.join(", ")}`);
  list.classList.remove("stale");
  list.replaceChildren(...report.components.map(card));
  say(checked, `Version ${report.version}, checked at ${new Date(report.checked_at).toLocaleTimeString()}`);
}

function card(one) {
  const item = template.content.firstElementChild.cloneNode(true);
  item.querySelector("h2").textContent = NAMES[one.name] ?? one.name;
  const state = item.querySelector(".state");
  state.dataset.state = one.status;
  state.textContent = one.status === "up" ? "✓ up" : "✗ down";
  item.querySelector(".version").textContent = one.version || "unknown";
  item.querySelector(".latency").textContent = `${one.latency_ms.toFixed(1)} ms`;
  item.querySelector(".detail").textContent = one.detail;
  return item;
}

function away(reason) {
  summary.dataset.state = "away";
  say(summary, `The API at ${api} does not answer (${reason}).\nIs the stack running? jeex status tells, jeex up starts it.`);
  list.classList.add("stale"); // what was last known stays, and looks like it
}

async function ask() {
  let report;
  try {
    const answer = await fetch(`${api}/api/v1/system/status`, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    report = await answer.json();
  } catch (error) {
    away(error.name === "TimeoutError" ? "no answer in time" : error.message);
    return;
  }
  show(report);
}

async function forever() {
  for (;;) {
    if (!document.hidden) await ask();
    await new Promise((resume) => setTimeout(resume, EVERY));
  }
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
forever();

// The history of one component as bars: one a check, as high as its latency. What the bars show is said in words as well.

import { svg } from "./dom.js";

const WIDTH = 5; // of a bar with its gap, in units of the drawing
const HEIGHT = 28;
const PLACES = 60; // as many as are remembered

export function bars(name, checks) {
  const slowest = Math.max(1, ...checks.map((one) => one.latency ?? 0));
  const first = PLACES - checks.length; // the newest is at the right end
  return svg(
    "svg",
    {
      class: "bars",
      viewBox: `0 0 ${PLACES * WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `${name}: ${inWords(checks)}`,
    },
    Array.from({ length: first }, (_, place) => bar(place, "none", 2)),
    checks.map((one, place) =>
      bar(first + place, one.status, height(one, slowest), `${one.at.toLocaleTimeString()}: ${told(one)}`),
    ),
  );
}

function height(one, slowest) {
  if (one.status === "down") return HEIGHT;
  if (one.status === "unknown") return 4;
  return 5 + (HEIGHT - 11) * Math.sqrt(one.latency / slowest); // small differences matter more than large ones
}

function bar(place, status, tall, title) {
  return svg(
    "rect",
    { class: `bar ${status}`, x: place * WIDTH + 0.75, y: HEIGHT - tall, width: WIDTH - 1.5, height: tall, rx: 0.75 },
    title ? svg("title", {}, title) : null,
  );
}

const told = (one) => (one.status === "up" ? `up, ${milliseconds(one.latency)}` : one.status);

export const milliseconds = (number) => `${number < 10 ? number.toFixed(1) : Math.round(number)} ms`;

export function summary(checks) {
  const latencies = checks
    .filter((one) => one.status === "up")
    .map((one) => one.latency)
    .sort((a, b) => a - b);
  return {
    checks: checks.length,
    up: latencies.length,
    down: checks.filter((one) => one.status === "down").length,
    median: latencies.length ? latencies[Math.floor(latencies.length / 2)] : null,
    slowest: latencies.at(-1) ?? null,
  };
}

function inWords(checks) {
  const { checks: all, up, down, median, slowest } = summary(checks);
  const speed = median === null ? "" : `; latency ${milliseconds(median)} in the middle, ${milliseconds(slowest)} at most`;
  return `up in ${up} of the last ${all} checks, down in ${down}${speed}`;
}

// Server-sent events, read with fetch: EventSource sends no Authorization header, and a credential in an address ends up in
// logs. Breaks are told, and mended with a growing pause between tries.

import { Away, Problem } from "./api.js";

const QUIET = 40_000; // ms without a word; the API says something every 15 s
const DELAYS = [1_000, 2_000, 5_000, 10_000, 20_000]; // ms until the next try
const STEADY = 10_000; // ms after which a stream was a good one, and the pauses begin anew

// Until `signal` ends: `opened()` once there is a stream, `event(name, data)` for each event, `broken(reason)` when it is gone.
// Nothing is held open for a tab that nobody sees: a browser has six connections to one origin in all.
export async function follow(open, { signal, opened, event, broken }) {
  let failures = 0;
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    const unseen = hidden(signal);
    const began = Date.now();
    let reason;
    try {
      const response = await open(unseen.signal);
      opened();
      await read(response.body, event, unseen);
      reason = "it ended";
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status === 401) return; // the session has ended, and everything with it
      if (unseen.signal.aborted && document.hidden) continue;
      reason = error instanceof Problem || error instanceof Away ? error.message : "it broke off";
    } finally {
      unseen.stop();
    }
    failures = Date.now() - began > STEADY ? 1 : failures + 1;
    const wait = DELAYS[Math.min(failures, DELAYS.length) - 1];
    broken(reason);
    await pause(wait, signal);
  }
}

async function read(body, event, unseen) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let timer;
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => unseen.abort(), QUIET);
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) parse(block, event);
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {}); // it is broken already; what broke it has been told
  }
}

function parse(block, event) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }
  if (data.length) event(name, data.join("\n")); // a comment is a sign of life and nothing else
}

// A signal that ends when the tab is hidden, with the view, or when it is told to.
function hidden(signal) {
  const controller = new AbortController();
  const listen = () => {
    if (document.hidden) controller.abort();
  };
  document.addEventListener("visibilitychange", listen);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    abort: () => controller.abort(),
    stop: () => {
      document.removeEventListener("visibilitychange", listen);
      controller.abort();
    },
  };
}

function visible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const listen = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", listen);
      resolve();
    };
    document.addEventListener("visibilitychange", listen);
    signal.addEventListener("abort", listen);
  });
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

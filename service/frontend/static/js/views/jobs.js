// Jobs as they happen: a page of them to begin with, then what the API says of each change. Without a stream it is asked
// again and again, and the page says so.

import { query } from "../api.js";
import { h, say } from "../dom.js";
import { JobRow, finished } from "../job-row.js";
import { chooser } from "../listing.js";
import { problemBox } from "../problem.js";
import { follow } from "../stream.js";

const POLL = 5_000; // ms between two looks while there is no stream
const LIMIT = 25;
const STATUSES = [
  ["", "All"],
  ["queued", "Queued"],
  ["running", "Running"],
  ["done", "Done"],
  ["dead", "Dead"],
  ["cancelled", "Cancelled"],
];

export function jobs(root, page, signal) {
  const { session } = page;
  const rows = new Map();
  const list = h("ul", { class: "rows card", "aria-label": "Jobs", hidden: true });
  const empty = h("p", { class: "empty card", hidden: true }, "No jobs. An export of a project is one.");
  const said = h("div", { class: "said" });
  const live = h("p", { class: "live", role: "status" }, "Connecting…");
  const heard = h("p", { class: "unseen", role: "status" });
  const more = h("button", { type: "button", hidden: true }, "Show more");
  let status = "";
  let cursor = null; // where the last page that was read ended
  let begun = false;
  let poll = null;
  let turn = 0;

  root.append(
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Jobs"), live),
    h("div", { class: "tools" }, chooser("status", "Show", STATUSES, choose)),
    said,
    heard,
    h("h2", { class: "unseen" }, "The jobs"),
    empty,
    list,
    h("div", { class: "listing-end" }, more),
  );
  more.addEventListener("click", () => load(cursor));
  signal.addEventListener("abort", () => clearInterval(poll));

  function choose(value) {
    status = value;
    begun = false;
    rows.clear();
    list.replaceChildren();
    load();
  }

  async function load(from = null) {
    const mine = (turn += 1);
    try {
      const { data } = await session.ask(`/api/v1/jobs${query({ status, limit: LIMIT, cursor: from })}`, { signal });
      if (mine !== turn) return;
      said.replaceChildren();
      for (const job of data.items) put(job);
      if (from !== null || !begun) cursor = data.next_cursor; // a look at what is new does not lead back to the first page
      begun = true;
      more.hidden = cursor === null;
    } catch (error) {
      if (!signal.aborted && mine === turn) said.replaceChildren(problemBox(error, { again: () => load(from) }));
    } finally {
      settle();
    }
  }

  function put(job) {
    const known = rows.get(job.id);
    if (known && !finished(known.job) && finished(job)) say(heard, `${job.kind} is ${job.status}`);
    if (status && job.status !== status) {
      known?.element.remove();
      rows.delete(job.id);
      return;
    }
    if (known) known.update(job);
    else insert(new JobRow(job, { cancel: acting("cancel"), retry: acting("retry"), download }));
  }

  // The newest is first.
  function insert(row) {
    rows.set(row.job.id, row);
    const after = [...list.children].find((one) => one.dataset.created < row.job.created_at);
    row.element.dataset.created = row.job.created_at;
    list.insertBefore(row.element, after ?? null);
  }

  function settle() {
    list.hidden = rows.size === 0;
    empty.hidden = rows.size > 0 || said.hasChildNodes();
  }

  function acting(what) {
    return (job) =>
      doing(async () => {
        const { data } = await session.ask(`/api/v1/jobs/${job.id}/${what}`, { method: "POST" });
        if (data?.id) put(data);
      });
  }

  function download(job) {
    return doing(async () => {
      const response = await session.open(`/api/v1/jobs/${job.id}/result`, { signal });
      const named = /filename="?([^";]+)"?/.exec(response.headers.get("content-disposition") ?? "")?.[1];
      const address = URL.createObjectURL(await response.blob());
      h("a", { href: address, download: named ?? `${job.kind}-${job.id}.zip` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000); // once the browser has begun to save it
    });
  }

  async function doing(work) {
    said.replaceChildren();
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) said.replaceChildren(problemBox(error));
    } finally {
      settle();
    }
  }

  function told(state, words) {
    live.dataset.state = state;
    say(live, words);
  }

  follow((until) => session.open("/api/v1/jobs/events", { headers: { Accept: "text/event-stream" }, signal: until }), {
    signal,
    opened: () => {
      told("live", "Live");
      clearInterval(poll);
      poll = null;
      load(); // what there is, and what ended while nobody was listening
    },
    event: (name, data) => {
      if (name !== "job") return;
      put(JSON.parse(data));
      settle();
    },
    broken: (reason) => {
      told("broken", `Not live (${reason}): asking every ${POLL / 1000} s, and trying to be live again`);
      if (poll !== null) return;
      poll = setInterval(() => load(), POLL);
      load();
    },
  });
}

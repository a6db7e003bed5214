// One job as a line of a list. It changes in place, so that a button keeps the focus while the numbers move.

import { copyable, h, pill, say, time } from "./dom.js";

const UNFINISHED = ["queued", "running"];
export const finished = (job) => !UNFINISHED.includes(job.status);

// `acts`: { cancel, retry, download }, each called with the job.
export class JobRow {
  job = null;
  #kind = h("h3", { class: "row-title" });
  #message = h("p", { class: "row-sub" });
  #status = h("span", {});
  #when = h("span", { class: "soft" });
  #bar = h("progress", { max: "100", hidden: true });
  #error = h("p", { class: "job-error", hidden: true });
  #facts = h("dl", { class: "facts" });
  #buttons;

  constructor(job, acts) {
    const make = (words, act) => h("button", { type: "button", hidden: true, onclick: () => act(this.job) }, words);
    this.#buttons = {
      download: make("Download", acts.download),
      retry: make("Retry", acts.retry),
      cancel: make("Cancel", acts.cancel),
    };
    this.element = h(
      "li",
      { class: "job" },
      h("div", { class: "job-what" }, this.#kind, this.#message),
      h("p", { class: "row-side" }, this.#status, this.#when),
      this.#bar,
      this.#error,
      h(
        "div",
        { class: "job-foot" },
        h("details", {}, h("summary", {}, "Details"), this.#facts),
        h("div", { class: "actions" }, Object.values(this.#buttons)),
      ),
    );
    this.update(job);
  }

  update(job) {
    this.job = job;
    this.element.dataset.status = job.status;
    say(this.#kind, job.kind);
    say(this.#message, told(job));
    if (this.#status.textContent !== job.status) this.#status.replaceChildren(pill(job.status));
    this.#when.replaceChildren(time(job.finished_at ?? job.started_at ?? job.created_at));
    this.#bar.hidden = job.status !== "running";
    this.#bar.setAttribute("aria-label", `Progress of ${job.kind}`);
    if (job.progress === null) this.#bar.removeAttribute("value");
    else this.#bar.value = job.progress;
    say(this.#error, job.error ? text(job.error) : "");
    this.#error.hidden = !job.error;
    for (const [name, wanted] of Object.entries(possible(job))) {
      const button = this.#buttons[name];
      button.setAttribute("aria-label", `${button.textContent} ${job.kind}`);
      button.disabled = false;
      if (!wanted && document.activeElement === button) this.#kind.closest("li").querySelector("summary").focus();
      button.hidden = !wanted;
    }
    this.#tell(job);
  }

  #tell(job) {
    const facts = [
      ["Job", h("code", {}, job.id)],
      ["Attempts", `${job.attempts} of ${job.max_attempts}`],
      ["Created", new Date(job.created_at).toLocaleString()],
      ["Started", job.started_at && new Date(job.started_at).toLocaleString()],
      ["Finished", job.finished_at && new Date(job.finished_at).toLocaleString()],
      ["Trace", job.request_id && copyable(`jeex trace ${job.request_id}`, "the command")],
    ];
    const words = JSON.stringify([job.attempts, job.started_at, job.finished_at, job.request_id]);
    if (this.#facts.dataset.words === words) return; // a copy button in use stays
    this.#facts.dataset.words = words;
    this.#facts.replaceChildren(
      ...facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );
  }
}

function possible(job) {
  return {
    download: job.status === "done" && /export/.test(job.kind), // the one kind that leaves a file
    retry: job.status === "dead" || job.status === "cancelled",
    cancel: !finished(job),
  };
}

function told(job) {
  const again = job.status === "queued" && job.attempts > 0;
  const waits = again
    ? `Waiting for attempt ${job.attempts + 1} of ${job.max_attempts}${job.run_at ? `, at ${new Date(job.run_at).toLocaleTimeString()}` : ""}`
    : "";
  const percent = job.status === "running" && job.progress !== null ? `${job.progress} %` : "";
  return [percent, waits, job.message].filter(Boolean).join(" · ");
}

const text = (error) => (typeof error === "string" ? error : (error.message ?? JSON.stringify(error)));

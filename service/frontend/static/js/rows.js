// What can be done with one row of the API's: read with its version, change for that version, delete, bring back.

import { Problem } from "./api.js";
import { confirm } from "./dialog.js";
import { ask } from "./form.js";
import { problemBox } from "./problem.js";

// Does what it is given and shows in `said` why it did not work. `renew` reads anew what turned out to have changed.
export function attempts(said, signal, renew) {
  return async (work) => {
    said.replaceChildren();
    try {
      await work();
    } catch (error) {
      if (signal.aborted) return;
      said.replaceChildren(problemBox(error));
      if (error instanceof Problem && error.status === 412) {
        await renew().catch((failure) => said.replaceChildren(problemBox(failure)));
      }
    }
  };
}

export class Row {
  #session;
  #path;
  #etag = null;
  data = null;

  constructor(session, path) {
    this.#session = session;
    this.#path = path;
  }

  async read(signal) {
    const { data, etag } = await this.#session.ask(this.#path, { signal });
    this.#take(data, etag);
    return data;
  }

  #take(data, etag) {
    this.data = data;
    this.#etag = etag;
  }

  // A dialog; true when something was saved.
  async edit({ title, fields, signal, wide }) {
    const saved = await ask({
      title,
      fields,
      signal,
      wide,
      values: this.data,
      action: "Save",
      save: async (_, changes) => {
        const { data, etag } = await this.#session.ask(this.#path, {
          method: "PATCH",
          body: changes,
          headers: { "If-Match": this.#etag },
        });
        this.#take(data, etag);
        return data;
      },
      latest: () => this.read(signal),
    });
    return saved !== null;
  }

  // Asks first; true when it is gone. Throws Problem (412: it has changed since it was read) and Away.
  async remove({ title, text, signal }) {
    if (!(await confirm({ title, text, action: "Delete", danger: true, signal }))) return false;
    await this.#session.ask(this.#path, { method: "DELETE", headers: { "If-Match": this.#etag } });
    return true;
  }

  restore() {
    return this.#session.ask(`${this.#path}/restore`, { method: "POST" });
  }
}

// A dialog for a new row; the row, or null. Sent again after an answer that got lost, it is still made once.
export function create(session, { title, path, fields, values, fixed = {}, signal, wide }) {
  let last = "";
  let once = "";
  return ask({
    title,
    fields,
    values,
    signal,
    wide,
    action: "Create",
    save: async (given) => {
      const body = { ...fixed, ...given };
      const text = JSON.stringify(body);
      if (text !== last)
        once = [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");
      last = text;
      const { data } = await session.ask(path, {
        method: "POST",
        body,
        headers: { "Idempotency-Key": once },
        repeatable: true,
      });
      return data;
    },
  });
}

// Who is signed in. The API key is in this module's memory and nowhere else: it goes with the page. What outlives a reload
// (sessionStorage, this tab alone) is a token of ten minutes at most. While the page has the key, it renews the token.

import { Problem, reach, send } from "./api.js";

const STORED = "jeex.token";
const EARLY = 60_000; // ms before its end that a token is renewed
const ENDED = "Your session has ended. Sign in again to go on.";
const KEY = /^jx_[A-Za-z0-9_-]+$/;

export class Session extends EventTarget {
  #key = null;
  #token = null; // { value, until } with `until` in ms of this machine's clock
  #timer = null;
  #renewing = null;
  who = null; // what /whoami says; null while nobody is signed in

  get signedIn() {
    return this.who !== null;
  }

  // How the session goes on: "renewed" by itself, "key" (Vault is away: no token), or "ends" at `until`.
  get mode() {
    if (this.#key && this.#token) return "renewed";
    return this.#key ? "key" : "ends";
  }

  get until() {
    return this.#token && new Date(this.#token.until);
  }

  // Throws Problem and Away, and a TypeError for what cannot be a key; nothing has changed then.
  async signIn(text) {
    const key = text.trim();
    if (!KEY.test(key)) throw new TypeError("An API key begins with jx_ and has no blanks in it.");
    const token = await exchange(key);
    const { data } = await send("/api/v1/whoami", { credential: token?.value ?? key });
    this.#key = key;
    this.#begin(data, token);
  }

  // Goes on with the token of before a reload. Throws Away.
  async resume() {
    const token = stored();
    if (!token) return;
    if (token.until <= Date.now()) {
      this.end(ENDED);
      return;
    }
    try {
      const { data } = await send("/api/v1/whoami", { credential: token.value, patience: 4_000 });
      this.#begin(data, token);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      this.end(ENDED);
    }
  }

  // `reason` is told to whoever was signed in; without one they meant to.
  end(reason = "") {
    this.#key = null;
    this.#token = null;
    this.who = null;
    clearTimeout(this.#timer);
    keep(null);
    this.dispatchEvent(new CustomEvent("change", { detail: { reason } }));
  }

  // As `send`, with the credential. A 401 that a new token does not mend ends the session.
  ask(path, options = {}) {
    return this.#with((credential) => send(path, { ...options, credential }));
  }

  // As `reach`, with the credential.
  open(path, options = {}) {
    return this.#with((credential) => reach(path, { ...options, credential }));
  }

  async #with(work) {
    try {
      return await work(this.#token?.value ?? this.#key);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401 || !this.signedIn) throw error;
      if (this.#key && (await this.#renewed())) return work(this.#token?.value ?? this.#key);
      this.end("Your session is no longer valid: it ended, or the key was revoked. Sign in again to go on.");
      throw error;
    }
  }

  #begin(who, token) {
    this.who = who;
    this.#hold(token);
    this.dispatchEvent(new CustomEvent("change", { detail: { reason: "" } }));
  }

  #hold(token) {
    this.#token = token;
    keep(token);
    clearTimeout(this.#timer);
    if (!token) {
      if (this.#key) this.#timer = setTimeout(() => this.#due(), EARLY / 2); // the API could make none: once more
      return;
    }
    const rest = token.until - Date.now();
    // A token of seconds would be renewed for ever at once: half of its time at least.
    const wait = this.#key ? Math.max(rest - EARLY, rest / 2) : rest;
    this.#timer = setTimeout(() => this.#due(), wait);
  }

  async #due() {
    if (!this.#key) this.end(ENDED);
    else if (!(await this.#renewed())) this.end("Your key is no longer valid. Sign in with another one.");
  }

  // False when the key is refused. With Vault away, or the API, the key itself serves until the next try.
  #renewed() {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #renew() {
    try {
      this.#hold(await exchange(this.#key));
    } catch (error) {
      if (error instanceof Problem && [401, 403].includes(error.status)) return false;
      this.#hold(null);
    }
    return true;
  }
}

// A token for `key`; null while the API cannot make one, for then the key alone has to do.
async function exchange(key) {
  try {
    const { data } = await send("/api/v1/tokens", { method: "POST", credential: key, repeatable: true });
    return { value: data.access_token, until: Date.now() + data.expires_in * 1000 };
  } catch (error) {
    if (error instanceof Problem && [404, 503].includes(error.status)) return null;
    throw error;
  }
}

function stored() {
  try {
    const token = JSON.parse(sessionStorage.getItem(STORED));
    if (typeof token?.value === "string" && typeof token.until === "number") return token;
  } catch {
    // Storage is off, or holds what is not ours: nobody is signed in.
  }
  return null;
}

function keep(token) {
  try {
    if (token) sessionStorage.setItem(STORED, JSON.stringify(token));
    else sessionStorage.removeItem(STORED);
  } catch {
    // Storage is off: the session ends with the page.
  }
}

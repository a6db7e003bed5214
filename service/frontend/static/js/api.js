// The one way to the API, across origins. It knows of no credential of its own; session.js does.

export const BASE = document.querySelector('meta[name="api-url"]').content.replace(/\/$/, "");
const PATIENCE = 15_000; // ms for one answer
const PAUSE = 250; // ms before what broke off is asked once more

// Nothing answered, or not in time.
export class Away extends Error {
  name = "Away";

  constructor(message, { late = false } = {}) {
    super(message);
    this.late = late;
  }
}

// The API said no, as application/problem+json (RFC 9457).
export class Problem extends Error {
  name = "Problem";

  constructor(response, body) {
    super(body.detail ?? `status ${response.status}`);
    this.status = response.status;
    this.title = body.title ?? response.statusText;
    this.detail = body.detail ?? "";
    this.code = body.code ?? "";
    this.hint = body.hint ?? "";
    this.errors = body.errors ?? [];
    this.requestId = body.request_id ?? response.headers.get("x-request-id") ?? "";
    this.retryAfter = Number(response.headers.get("retry-after")) || null; // seconds
  }
}

// The response as it begins; whoever reads on has to expect that it breaks. Throws Away, Problem, and what `signal` says.
//
// What may be done twice is asked once more when it breaks off: a browser drops every connection when the machine's network
// changes, as it does whenever a container starts. `repeatable` says so of what is no GET.
export async function reach(path, options = {}) {
  const { method = "GET", repeatable = method === "GET", signal } = options;
  try {
    return await once(path, options);
  } catch (error) {
    if (!repeatable || !(error instanceof Away) || error.late) throw error;
    await new Promise((resume) => setTimeout(resume, PAUSE));
    if (signal?.aborted) throw error;
    return once(path, options);
  }
}

async function once(path, { method = "GET", body, headers = {}, credential, signal, patience = PATIENCE } = {}) {
  const sent = { ...headers };
  if (credential) sent.Authorization = `Bearer ${credential}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  // Until it begins: a download may take as long as it takes.
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patience);
  let response;
  try {
    response = await fetch(`${BASE}${path}`, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    if (late.signal.aborted) throw new Away(`no answer within ${patience / 1000} s`, { late: true });
    throw new Away("it cannot be reached");
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok) throw new Problem(response, await response.json().catch(() => ({})));
  return response;
}

// The whole answer: { data, etag }. `data` is null where there is nothing to say.
export async function send(path, options = {}) {
  const response = await reach(path, options);
  try {
    const text = await response.text();
    return { data: text === "" ? null : JSON.parse(text), etag: response.headers.get("etag") };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Away("its answer broke off");
  }
}

export function query(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
}

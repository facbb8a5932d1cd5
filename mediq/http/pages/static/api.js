// Requests to MediQ: JSON both ways, errors as texts, and writes that are safe to repeat.
import { has, language, t } from "./words.js";

const TRIES = 3;
const PAUSE_MS = 700;
const LONGEST_PAGE = 100;
const REPEATED = new Set([502, 503, 504]);

/** An error with a text for the person at the page. `fields` maps a field's name to what is wrong with it. */
export class Problem extends Error {
  constructor(status, code, words, fields = {}) {
    super(words);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

/**
 * Send a request and return the parsed response. A write carries an Idempotency-Key, so a request that was lost is sent
 * again and acts once. A user who is no longer signed in is sent to the sign-in page, unless `stay` is set.
 */
export async function call(method, path, body, { headers = {}, signal, stay = false, tries = TRIES } = {}) {
  const form = body instanceof FormData;
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET") sent["Idempotency-Key"] = newKey();
  if (body !== undefined && !form) sent["Content-Type"] = "application/json";
  const options = { method, headers: sent, signal, body: form || body === undefined ? body : JSON.stringify(body) };
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(path, options).catch((error) => {
      if (error.name === "AbortError") throw error;
      return null;
    });
    if (response && response.ok) return response.status === 204 ? null : response.json();
    if (attempt < tries && (!response || REPEATED.has(response.status))) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
      continue;
    }
    if (!response) throw new Problem(0, "offline", t("common.offline"));
    if (response.status === 401 && !stay) {
      location.assign(`/signin?next=${encodeURIComponent(location.pathname + location.search)}`);
    }
    throw await problem(response);
  }
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);
export const patch = (path, body, options) => call("PATCH", path, body, options);
export const put = (path, body, options) => call("PUT", path, body, options);
export const remove = (path, options) => call("DELETE", path, undefined, options);

/** All items of a list that MediQ answers a page at a time. `query` narrows the list down. */
export async function all(path, query = {}) {
  const rows = [];
  for (let page = 1; ; page += 1) {
    const { data, pagination } = await get(`${path}?${new URLSearchParams({ ...query, page, limit: LONGEST_PAGE })}`);
    rows.push(...data);
    if (page >= pagination.pages) return rows;
  }
}

/** A new random key. crypto.randomUUID is missing in a clinic's network without https. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function problem(response) {
  const told = await response.json().catch(() => ({}));
  const code = (told.type || "").replace("urn:mediq:", "");
  const fields = Object.fromEntries((told.errors || []).map((each) => [each.field, each.message]));
  return new Problem(response.status, code, inWords(response.status, code, told), fields);
}

/** MediQ's own error texts are in Bahasa Indonesia; other languages have their own texts for common errors. */
function inWords(status, code, told) {
  if (language !== "id") {
    for (const key of [`problem.${code}`, `problem.${status}`]) if (has(key)) return t(key);
  }
  return told.detail || t("common.failed", { status });
}

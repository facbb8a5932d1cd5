// An event stream that stays: it comes back by itself, says whether it hears the clinic, and goes on where it broke off.
//
// Read with fetch rather than EventSource, which gives up for good at an error status and, when the network falls
// silent, does not notice: MediQ sends a comment every 15 seconds, and this listens for those too.
import { t } from "./words.js";

const SILENCE_MS = 22000;
const ANSWER_MS = 4000;
const PAUSE_MS = 1000;

/**
 * Follow `url`. `onEvent(name, data, version)` gets every event in order; `onState` gets "joining", "live" or "lost".
 * `onRefused(status)` hears of an answer that trying again does not change; then the stream has ended, unless it says
 * after how many milliseconds to ask once more.
 * Returns what ends it.
 */
export function follow(url, { onEvent, onState = () => {}, onRefused = () => {} }) {
  let last = null;
  let state = null;
  let ended = false;
  let abort = new AbortController();
  let pause = PAUSE_MS;

  function tell(next) {
    if (next !== state) onState((state = next));
  }

  async function listen() {
    abort = new AbortController();
    pause = PAUSE_MS;
    let timer = setTimeout(() => abort.abort(), ANSWER_MS);
    try {
      const headers = { Accept: "text/event-stream" };
      if (last !== null) headers["Last-Event-ID"] = last;
      const response = await fetch(url, { headers, cache: "no-store", signal: abort.signal });
      if (!response.ok) {
        if ([401, 403, 404].includes(response.status)) {
          pause = onRefused(response.status);
          ended = pause === undefined;
        }
        return;
      }
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      let pending = "";
      for (;;) {
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), SILENCE_MS);
        const { done, value } = await reader.read();
        if (done) return;
        pending += decoder.decode(value, { stream: true });
        const blocks = pending.split("\n\n");
        pending = blocks.pop();
        tell("live");
        for (const block of blocks) take(block);
      }
    } catch {
      // whatever broke it, it is tried again
    } finally {
      clearTimeout(timer);
    }
  }

  function take(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    if (fields.data === undefined) return;
    if (fields.id !== undefined) last = fields.id;
    onEvent(fields.event || "message", JSON.parse(fields.data), Number(fields.id));
  }

  async function stay() {
    tell("joining");
    while (!ended) {
      await listen();
      if (ended) return;
      tell("lost");
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
    }
  }

  // A tab that is put away and taken out again has a stream that only looks alive.
  addEventListener("online", () => abort.abort());
  addEventListener("pageshow", (event) => event.persisted && abort.abort());
  stay();
  return () => {
    ended = true;
    abort.abort();
  };
}

/** What shows a stream's state in an element of class `link`. */
export function shownIn(element) {
  return (state) => {
    element.dataset.state = state;
    element.textContent = t(`common.${state}`);
  };
}

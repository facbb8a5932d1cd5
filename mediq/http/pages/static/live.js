// An event stream that reconnects by itself, reports whether it is connected, and resumes where it broke off.
//
// It uses fetch, because EventSource gives up for good at an error status and does not notice a silent network. MediQ
// sends a comment every 15 seconds, and a stream without one counts as lost.
import { t } from "./words.js";

const SILENCE_MS = 22000;
const ANSWER_MS = 4000;
const PAUSE_MS = 1000;

/**
 * Follow `url`. `onEvent(name, data, version)` gets every event in order; `onState` gets "joining", "live" or "lost".
 * `onRefused(status)` is called for a status that a new attempt does not change. The stream then ends, unless
 * `onRefused` returns the milliseconds after which to try once more.
 * Returns a function that ends the stream.
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
      // Whatever the cause, the stream tries again.
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

  // After a tab was hidden and shown again its stream may only look alive.
  addEventListener("online", () => abort.abort());
  addEventListener("pageshow", (event) => event.persisted && abort.abort());
  stay();
  return () => {
    ended = true;
    abort.abort();
  };
}

/** A function that shows a stream's state in an element of class `link`. */
export function shownIn(element) {
  return (state) => {
    element.dataset.state = state;
    element.textContent = t(`common.${state}`);
  };
}

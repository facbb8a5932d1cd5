// The acts of a counter, one at a time: a key held down, a double click or a slow network never act twice.
import { patch, post, remove } from "./api.js";
import { toast } from "./ui.js";
import { t } from "./words.js";

const REST_MS = 350;

const ASKED = {
  call: ({ counter }) => patch("/queue/call-next", { counter }),
  undo: ({ counter }) => post("/queue/undo", { counter }),
  // The reason is one of a few fixed words, because an address must not hold a patient's data.
  cancel: ({ ticket, body }) => remove(`/queue/${ticket.id}?why=${encodeURIComponent(body.why)}`),
};

/**
 * Acts for a counter's page. `done(name, ticket)` is called after each act that succeeded, `change(acting)` when one begins
 * and when it ends.
 */
export class Acts {
  constructor({ done, change }) {
    this.done = done;
    this.change = change;
    this.acting = false;
    this.rested = -REST_MS;
    this.last = null;
    this.online = false;
  }

  /**
   * Perform an act, unless another is under way. Resolves to the ticket, or to undefined. An error is shown as a toast, or
   * in the element `told`. `by` is the key, or "click": the second of two quick presses of the same key is ignored.
   */
  async act(name, { ticket, counter, body = {}, by, told } = {}) {
    if (this.acting || (by && by === this.last && performance.now() - this.rested < REST_MS)) return undefined;
    if (!this.online) {
      say(t("operator.lost_act"), told);
      return undefined;
    }
    this.acting = true;
    this.last = by;
    this.change(true);
    try {
      const ask = ASKED[name] || (() => patch(`/queue/${ticket.id}/${name}`, body));
      const answer = await ask({ ticket, counter, body });
      this.done(name, answer);
      return answer;
    } catch (error) {
      say(error.message, told);
      if (error.status === undefined) throw error; // a defect of this page, for the console
      return undefined;
    } finally {
      this.acting = false;
      this.rested = performance.now();
      this.change(false);
    }
  }
}

function say(words, told) {
  if (told) told.textContent = words;
  else toast(words, { bad: true });
}

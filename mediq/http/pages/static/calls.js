// The calls that a board has still to announce, each once and in order. Independent of screen and sound.
const REMEMBERED = 64;
const MOST_WAITING = 30;

export class Calls {
  /** `mark` says what was announced before the page was loaded (calls up to a `version`, and `recalls`), or is null. */
  constructor(mark) {
    this.mark = mark;
    this.heard = null;
    this.board = null;
    this.waiting = [];
    this.done = [];
  }

  /** Read an event of the stream, and queue the new calls in it. */
  take(name, { event, board }) {
    if (this.heard === null) {
      this.heard = this.mark && this.mark.version <= board.version ? this.mark.version : board.version;
    }
    // A queue that was restored from a backup has a lower version.
    if (board.version < this.heard) this.heard = board.version;
    const fresh = name === "snapshot" ? this.missed(board) : heardIn(event, board);
    for (const call of fresh) if (name === "snapshot" || call.version > this.heard) this.add(call);
    if (event && event.event.type === "action-undone") this.forget(event.event.number, board);
    this.heard = Math.max(this.heard, board.version);
    this.board = board;
  }

  /** Queue the calls that were made while the board was away and whose patients have not come yet. */
  missed(board) {
    const atCounter = (call) =>
      board.counters.find(
        (each) => each.counter === call.counter && each.number === call.number && each.status === "CALLED",
      );
    return [...board.calls].reverse().flatMap((call) => {
      const counter = atCounter(call);
      if (!counter) return [];
      const before = this.board ? this.board.counters.find((each) => each.number === call.number)?.recalls : this.mark?.recalls?.[call.number];
      const again = counter.recalls > before; // false if the board has no record of the number
      if (call.version > this.heard) return [call];
      return again ? [{ ...call, again: counter.recalls }] : [];
    });
  }

  add(call) {
    const key = `${call.version} ${call.number} ${call.again || 0}`;
    if (this.done.includes(key)) return;
    this.done = [...this.done, key].slice(-REMEMBERED);
    this.waiting = [...this.waiting, call].slice(-MOST_WAITING);
  }

  /** Remove a call that was undone before it was announced. */
  forget(number, board) {
    const stands = (call) => board.calls.some((each) => each.number === number && each.counter === call.counter);
    this.waiting = this.waiting.filter((call) => call.number !== number || stands(call));
  }

  /** How often each number at a counter was recalled, counting announced and queued calls. */
  get recalls() {
    const announced = ({ number, recalls }) => {
      const coming = this.waiting.filter((call) => call.number === number && call.again);
      return Math.min(recalls, ...coming.map((call) => call.again - 1));
    };
    return Object.fromEntries(this.board.counters.filter((each) => each.number).map((each) => [each.number, announced(each)]));
  }

  /** The next call to announce, or undefined. */
  next() {
    return this.waiting.shift();
  }
}

/** The call in an event. It carries the event's version, so that a recall is a call of its own. */
function heardIn(recorded, board) {
  const { type, number, service, counter, recalls } = recorded ? recorded.event : {};
  if (type !== "ticket-called" && type !== "ticket-recalled") return [];
  const place = board.counters.find((each) => each.counter === counter);
  const name = place ? place.counter_name : counter;
  const call = { number, service, counter, counter_name: name, at: recorded.at, version: recorded.version };
  return [type === "ticket-recalled" ? { ...call, again: recalls } : call];
}

// The queue as the operator's page knows it: the tickets that are not over. Independent of the screen.

const SETTLE_MS = 3000;
export const AT_COUNTER = ["CALLED", "IN_PROGRESS"];

export class Line {
  constructor() {
    this.tickets = [];
    this.version = 0;
    this.settling = new Map();
  }

  /** Take over a snapshot, but keep newer answers that this page itself got meanwhile. */
  take({ version, tickets }, now = Date.now()) {
    this.version = version;
    this.tickets = tickets;
    for (const [id, { ticket, until }] of this.settling) {
      const told = tickets.find((each) => each.id === id);
      const same = told ? told.status === ticket.status && told.service === ticket.service : over(ticket);
      if (same || now > until) this.settling.delete(id);
      else this.replace(ticket);
    }
  }

  /** Take over the answer to an act of this page. */
  put(answer, now = Date.now()) {
    const before = this.tickets.find((each) => each.id === answer.id);
    const ticket = { user_id: before?.user_id, ...answer };
    this.settling.set(ticket.id, { ticket, until: now + SETTLE_MS });
    this.replace(ticket);
  }

  replace(ticket) {
    const others = this.tickets.filter((each) => each.id !== ticket.id);
    this.tickets = over(ticket) ? others : [...others, ticket].sort(byArrival);
  }

  /** The ticket that a counter is serving or has called, or undefined. */
  at(counter) {
    return this.tickets.find((each) => each.counter === counter && AT_COUNTER.includes(each.status));
  }

  /** The tickets with one of these statuses and services (null for all) whose number contains `search`, oldest first. */
  with(statuses, services = null, search = "") {
    const wanted = search.trim().toUpperCase().replace(/^([A-Z])[- ]?0*(?=\d)/, "$1");
    return this.tickets.filter(
      (each) =>
        statuses.includes(each.status) &&
        (services === null || services.includes(each.service)) &&
        (each.number.includes(search.trim().toUpperCase()) || each.number.replace(/-0*/, "").includes(wanted)),
    );
  }

  /** Whether a counter for these services has a patient to call. */
  waiting(services) {
    return this.with(["WAITING"], services).length;
  }
}

const over = (ticket) => ["COMPLETED", "CANCELLED"].includes(ticket.status);
const byArrival = (a, b) => Date.parse(a.issued_at) - Date.parse(b.issued_at) || a.number.localeCompare(b.number);

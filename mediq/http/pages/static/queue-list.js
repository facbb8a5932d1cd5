// The list beside the counter: patients who wait, are on hold, did not come, or are at a counter.
import { at, fill, h } from "./dom.js";
import { AT_COUNTER } from "./line.js";
import { nameOf, priorityBadge, waitBadge } from "./visit.js";
import { busy } from "./ui.js";
import { t } from "./words.js";

const TABS = { waiting: ["WAITING"], held: ["ON_HOLD"], gone: ["NO_SHOW"], counters: AT_COUNTER };
const BACK = { ON_HOLD: "resume", NO_SHOW: "requeue" };
const MINE = " mine";
const ALL = " all";
const SHOWN = 200;

export class QueueList {
  /** `open(ticket)` shows a ticket; `act(name, more)` performs an act on one. */
  constructor({ line, open, act }) {
    this.line = line;
    this.open = open;
    this.act = act;
    this.tab = "waiting";
    this.clinic = null;
    this.mine = [];
    this.rows = new Map();
    this.list = h("ol", { class: "tickets" });
    this.empty = h("p", { class: "empty" });
    fill(at("list"), this.list, this.empty);
    fill(at("tabs"), Object.keys(TABS).map((name) => this.tabButton(name)));
    at("filter").addEventListener("change", () => this.draw());
    at("search").addEventListener("input", () => this.draw());
    at("search").addEventListener("keydown", (event) => this.searched(event));
    at("tabs").addEventListener("keydown", (event) => this.moved(event));
  }

  /** Take over the present clinic and the services of this counter. */
  know(clinic, mine) {
    [this.clinic, this.mine] = [clinic, mine];
    const chosen = at("filter").value || MINE;
    const options = [[MINE, t("operator.filter_mine")], [ALL, t("operator.filter_all")], ...clinic.services.map((each) => [each.id, each.name])];
    fill(at("filter"), options.map(([value, label]) => h("option", { value }, label)));
    at("filter").value = options.some(([value]) => value === chosen) ? chosen : MINE;
  }

  services() {
    const chosen = at("filter").value;
    return chosen === ALL ? null : chosen === MINE ? this.mine : [chosen];
  }

  draw() {
    if (this.clinic === null) return;
    for (const tab of at("tabs").children) {
      const chosen = tab.dataset.tab === this.tab;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      tab.lastChild.textContent = this.line.with(TABS[tab.dataset.tab], this.services()).length;
    }
    at("list").setAttribute("aria-labelledby", `tab-${this.tab}`);
    // A search finds a number in every tab.
    const search = at("search").value;
    const statuses = search ? Object.values(TABS).flat() : TABS[this.tab];
    const found = this.line.with(statuses, search ? null : this.services(), search).slice(0, SHOWN);
    this.empty.hidden = found.length > 0;
    this.empty.textContent = t(search ? "operator.empty_search" : `operator.empty_${this.tab}`);
    this.place(found.map((each) => this.row(each)));
  }

  /** Put these rows in the list. A row in its place is not moved, because it may have focus or be about to be clicked. */
  place(rows) {
    let next = this.list.firstElementChild;
    for (const row of rows) {
      if (row === next) next = next.nextElementSibling;
      else this.list.insertBefore(row, next);
    }
    while (next) {
      const after = next.nextElementSibling;
      this.rows.delete(next.dataset.ticket);
      next.remove();
      next = after;
    }
  }

  tabButton(name) {
    return h("button", { type: "button", role: "tab", id: `tab-${name}`, "data-tab": name, "aria-controls": "list", click: () => this.choose(name) },
      t(`operator.tab_${name}`), h("span", { class: "count" }, "0"));
  }

  /** The row of a ticket. An existing row is reused and written again. */
  row(ticket) {
    let made = this.rows.get(ticket.id);
    if (!made || made.status !== ticket.status) {
      made = this.newRow(ticket);
      this.rows.set(ticket.id, made);
    }
    made.ticket = ticket;
    const where = AT_COUNTER.includes(ticket.status) && this.clinic.counters.find((each) => each.id === ticket.counter)?.name;
    fill(made.open,
      h("span", { class: "number" }, ticket.number),
      h("span", { class: "of" }, nameOf(this.clinic, ticket.service), where && ` · ${t("operator.at_counter", { counter: where })}`),
      priorityBadge(ticket),
      waitBadge(ticket));
    return made.element;
  }

  newRow({ id, number, status }) {
    const made = { status };
    made.open = h("button", { class: "ticket", type: "button", "aria-haspopup": "dialog", click: () => this.open(made.ticket) });
    const back = BACK[status];
    const again = back && h("button", { class: "button quiet", type: "button", "aria-label": `${t(`operator.${back}`)} ${number}`, click: (event) => busy(event.currentTarget, () => this.act(back, { ticket: made.ticket })) }, t(`operator.${back}`));
    made.element = h("li", { "data-ticket": id }, made.open, again);
    return made;
  }

  choose(name) {
    this.tab = name;
    this.draw();
  }

  /** Move between tabs with the arrow keys. */
  moved(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const names = Object.keys(TABS);
    this.choose(names[(names.indexOf(this.tab) + step + names.length) % names.length]);
    at(`tab-${this.tab}`).focus();
  }

  /** Enter opens the first number found; Escape ends the search. */
  searched(event) {
    if (event.key === "Escape") {
      at("search").value = "";
      at("search").blur();
      this.draw();
    } else if (event.key === "Enter") {
      event.preventDefault();
      at("list").querySelector(".ticket")?.click();
    }
  }
}

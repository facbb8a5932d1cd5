// The list beside the counter: who waits, who is set aside, who did not come, who is where.
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
  /** `open(ticket)` shows a ticket; `act(name, more)` does something with one. `tick` draws the waiting times anew. */
  constructor({ line, open, act }) {
    this.line = line;
    this.open = open;
    this.act = act;
    this.tab = "waiting";
    this.clinic = null;
    this.mine = [];
    at("filter").addEventListener("change", () => this.draw());
    at("search").addEventListener("input", () => this.draw());
    at("search").addEventListener("keydown", (event) => this.searched(event));
    at("tabs").addEventListener("keydown", (event) => this.moved(event));
  }

  /** The clinic as it is now, and the services of this counter. */
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
    const search = at("search").value;
    this.drawTabs();
    // Whoever looks for a number means that number, wherever it stands.
    const statuses = search ? Object.values(TABS).flat() : TABS[this.tab];
    const found = this.line.with(statuses, search ? null : this.services(), search);
    const focused = document.activeElement?.closest("[data-ticket]")?.dataset.ticket;
    const empty = search ? "operator.empty_search" : `operator.empty_${this.tab}`;
    fill(
      at("list"),
      found.length
        ? h("ol", { class: "tickets" }, found.slice(0, SHOWN).map((each) => this.row(each)))
        : h("p", { class: "empty" }, t(empty)),
    );
    if (focused) at("list").querySelector(`[data-ticket="${focused}"] button`)?.focus();
  }

  drawTabs() {
    const tabs = Object.keys(TABS).map((name) => {
      const count = this.line.with(TABS[name], this.services()).length;
      const chosen = name === this.tab;
      return h("button", {
        type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "list", "aria-selected": String(chosen), tabindex: chosen ? 0 : -1,
        click: () => this.choose(name),
      }, t(`operator.tab_${name}`), h("span", { class: "count" }, String(count)));
    });
    const inside = at("tabs").contains(document.activeElement);
    fill(at("tabs"), tabs);
    at("list").setAttribute("aria-labelledby", `tab-${this.tab}`);
    if (inside) at(`tab-${this.tab}`).focus();
  }

  row(ticket) {
    const where = this.clinic.counters.find((each) => each.id === ticket.counter)?.name;
    const open = h(
      "button",
      { class: "ticket", type: "button", "aria-haspopup": "dialog", click: () => this.open(ticket) },
      h("span", { class: "number" }, ticket.number),
      h("span", { class: "of" }, nameOf(this.clinic, ticket.service), AT_COUNTER.includes(ticket.status) && where ? ` · ${t("operator.at_counter", { counter: where })}` : ""),
      priorityBadge(ticket),
      waitBadge(ticket),
    );
    const back = BACK[ticket.status];
    const again = back && h("button", {
      class: "button quiet", type: "button", "aria-label": `${t(`operator.${back}`)} ${ticket.number}`,
      click: (event) => busy(event.currentTarget, () => this.act(back, { ticket })),
    }, t(`operator.${back}`));
    return h("li", { "data-ticket": ticket.id }, open, again);
  }

  choose(name) {
    this.tab = name;
    this.draw();
  }

  /** Arrow keys go from tab to tab. */
  moved(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const names = Object.keys(TABS);
    this.choose(names[(names.indexOf(this.tab) + step + names.length) % names.length]);
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

// The counter: its patient in large type, and the acts that are possible next.
import { at, fill, h } from "./dom.js";
import { nameOf, patientData, priorityBadge, waited } from "./visit.js";
import { lasting, minutesSince } from "./time.js";
import { busy } from "./ui.js";
import { t } from "./words.js";

/** The act of each key, by the status of the patient at the counter. */
export const KEYS = {
  CALLED: { Enter: "start", r: "recall", l: "skip", h: "hold", t: "transfer" },
  IN_PROGRESS: { Enter: "complete", h: "hold", t: "transfer" },
};
const NAMED = { Enter: "Enter", " ": "operator.key_space" };

export class Desk {
  /** `does(name, by)` performs the act of a button; `by` is "click", or "press" if a key pressed it. */
  constructor({ line, does }) {
    this.line = line;
    this.does = does;
    this.shown = null;
    this.acts = "";
  }

  /** Draw a counter of `clinic` that takes `services`. With `still` no act is possible. */
  draw(clinic, counter, services, still) {
    const ticket = this.line.at(counter);
    const waiting = this.line.waiting(services);
    at("now").classList.toggle("idle", !ticket);
    at("now").dataset.status = ticket ? ticket.status : "";
    fill(at("now"), ticket ? this.present(ticket, clinic) : this.idle(waiting));
    this.buttons(ticket, waiting, still);
    const said = ticket ? `${ticket.number}: ${t(`line.${ticket.status}`)}` : t("operator.idle");
    if (at("spoken").textContent !== said) at("spoken").textContent = said;
    if (this.shown !== (ticket ? ticket.id : null)) this.arrived(ticket);
  }

  present(ticket, clinic) {
    const since = ticket.status === "CALLED" ? ["operator.since_call", ticket.called_at] : ["operator.since_start", ticket.started_at];
    return [
      h("p", { class: "state" }, t(`line.${ticket.status}`), " · ", nameOf(clinic, ticket.service)),
      h("p", { class: "number" }, ticket.number),
      h("p", { class: "row facts-row" }, priorityBadge(ticket), h("span", {}, t("operator.waited", { time: lasting(waited(ticket)) })), h("span", {}, t(since[0], { time: lasting(minutesSince(since[1] || ticket.issued_at)) }))),
    ];
  }

  idle(waiting) {
    if (!waiting) return [h("p", { class: "big" }, t("operator.nobody")), h("p", {}, t("operator.nobody_hint"))];
    return [h("p", { class: "big" }, t("operator.idle")), h("p", {}, t("operator.idle_next", { count: waiting }))];
  }

  /** Draw the buttons again only if they differ, so that focus stays where it is. */
  buttons(ticket, waiting, still) {
    const acts = ticket ? Object.entries(KEYS[ticket.status]).map(([key, name]) => [name, key]) : [["call", " "]];
    const wanted = `${ticket ? ticket.id : ""} ${acts.map(([name]) => name)}`;
    if (wanted !== this.acts) {
      this.acts = wanted;
      const inside = at("acts").contains(document.activeElement);
      fill(at("acts"), acts.map(([name, key]) => this.button(name, key)));
      if (ticket) at("acts").append(this.button("more", null));
      if (inside) at("acts").querySelector("button").focus();
    }
    for (const button of at("acts").children) {
      button.setAttribute("aria-disabled", String(still || (button.dataset.act === "call" && !waiting)));
    }
  }

  button(name, key) {
    const first = ["call", "start", "complete"].includes(name);
    const label = NAMED[key]?.includes(".") ? t(NAMED[key]) : key && (NAMED[key] || key.toUpperCase());
    return h("button", {
      class: `button ${first ? `primary ${name === "call" ? "huge" : "large"}` : "large"}`,
      type: "button",
      "data-act": name,
      click: (event) => {
        if (event.currentTarget.getAttribute("aria-disabled") === "true" || event.detail > 1) return;
        this.does(name, event.detail === 1 ? "click" : "press");
      },
    }, t(`operator.${name}`), label && h("kbd", { "aria-hidden": "true" }, label));
  }

  /** Take over another patient or none, and remove the data of the patient before. */
  arrived(ticket) {
    this.shown = ticket ? ticket.id : null;
    const card = at("patient");
    card.hidden = !ticket;
    if (!ticket) return void fill(card);
    const person = h("div", { class: "card stack tight", hidden: true });
    const show = h("button", { class: "button", type: "button", "aria-expanded": "false" }, t("operator.patient_show"));
    show.addEventListener("click", () => busy(show, async () => {
      const hidden = person.hidden;
      if (hidden) fill(person, await patientData(ticket.user_id));
      else fill(person);
      person.hidden = !hidden;
      show.setAttribute("aria-expanded", String(hidden));
      show.textContent = t(hidden ? "operator.patient_hide" : "operator.patient_show");
    }));
    fill(card, h("div", { class: "row" }, show), person);
  }
}

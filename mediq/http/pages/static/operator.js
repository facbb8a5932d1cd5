// The operator's page: choose a counter, call and serve patients, and see who waits.
import { Acts } from "./acts.js";
import { get, post } from "./api.js";
import { Desk, KEYS } from "./desk.js";
import { at, dialog, fill, h } from "./dom.js";
import { Intake } from "./intake.js";
import { Line } from "./line.js";
import { follow, shownIn } from "./live.js";
import { QueueList } from "./queue-list.js";
import { setClock } from "./time.js";
import { busy, confirmed, toast } from "./ui.js";
import { askTransfer, nameOf, openVisit } from "./visit.js";
import { t } from "./words.js";

const COUNTER = "mediq.counter";
const LOST_MS = 2500;
const REDRAW_MS = 15000;
const UNDO_MS = Number(document.documentElement.dataset.undo) * 1000;
const UNDONE = new Set(["call", "recall", "start", "complete", "skip", "hold", "transfer"]);

const line = new Line();
let clinic = null;
let counter = null;
let here = null;
let undoing = 0;

const acts = new Acts({ done: acted, change: draw });
const desk = new Desk({ line, does: (name, by) => does(name, by) });
const act = (name, more) => acts.act(name, more);
const list = new QueueList({ line, act, open: (ticket) => openVisit(ticket, { clinic, act }) });
const intake = new Intake({ clinic: () => clinic, issued: (ticket) => ticket && line.put(ticket) });

// Counters

function chooseCounter() {
  counter = null;
  at("desk").hidden = true;
  at("choose").hidden = false;
  const kept = remembered();
  at("gone").hidden = kept === null || clinic.counters.some((each) => each.id === kept);
  fill(at("counters"), clinic.counters.map((each) => {
    const names = each.services.length ? each.services.map((id) => nameOf(clinic, id)).join(", ") : t("operator.every_service");
    const open = h("button", { class: each.id === kept ? "button primary large" : "button large", type: "button" }, t("operator.open", { counter: each.name }));
    open.addEventListener("click", () => busy(open, async () => {
      await post(`/queue/counters/${encodeURIComponent(each.id)}/open`, {});
      settle(each.id);
    }));
    return h("li", { class: "card stack" },
      h("div", { class: "row" }, h("h3", {}, each.name), each.open && h("span", { class: "badge ok dot" }, t("operator.opened"))),
      h("p", { class: "muted" }, names), open);
  }), clinic.counters.length === 0 && h("li", { class: "notice" }, t("operator.no_counters")));
  at("counters").querySelector(".primary, button")?.focus();
}

function settle(id) {
  counter = id;
  localStorage.setItem(COUNTER, id);
  at("choose").hidden = true;
  at("desk").hidden = false;
  known();
  draw();
}

/** Show the clinic's services and counters after a change. */
function known() {
  here = clinic.counters.find((each) => each.id === counter);
  if (!here) return chooseCounter();
  at("counter").textContent = here.name;
  list.know(clinic, services());
}

const services = () => (here.services.length ? here.services : clinic.services.map((each) => each.id));
const remembered = () => localStorage.getItem(COUNTER);

at("change").addEventListener("click", () => busy(at("change"), async () => {
  learn(await get("/clinic"));
  chooseCounter();
}));

at("close").addEventListener("click", () => busy(at("close"), async () => {
  if (!(await confirmed(t("operator.close_sure", { counter: here.name }), { danger: false }))) return;
  await post(`/queue/counters/${encodeURIComponent(counter)}/close`, {});
  toast(t("operator.closed", { counter: here.name }));
  learn(await get("/clinic"));
  chooseCounter();
}));

// Acts

/** Perform the act of a key or a button. `by` is the key, or "click". */
async function does(name, by) {
  const ticket = line.at(counter);
  if (name === "call") return calls(ticket, by);
  if (name === "undo") return act("undo", { counter, by });
  if (!ticket) return undefined;
  if (name === "transfer") return askTransfer(ticket, { clinic, act });
  if (name === "more") return openVisit(ticket, { clinic, act });
  return act(name, { ticket, by });
}

async function calls(ticket, by) {
  if (ticket) return void toast(t("operator.busy_first", { number: ticket.number }));
  if (!line.waiting(services())) return void toast(t("operator.nobody"));
  return act("call", { counter, by });
}

function acted(name, ticket) {
  line.put(ticket);
  const words = { number: ticket.number, service: nameOf(clinic, ticket.service) };
  if (UNDONE.has(name)) offerUndo(t(`operator.done_${name}`, words));
  else {
    if (name === "undo") offerUndo(null);
    toast(t(`operator.done_${name}`, words));
  }
}

/** Show what was done, with a button to undo it for as long as that is possible. */
function offerUndo(words) {
  clearTimeout(undoing);
  if (words === null) return void fill(at("undo-place"));
  const undo = h("button", { class: "button", type: "button", "data-act": "undo", click: (event) => does("undo", event.detail > 0 ? "click" : "press") }, t("operator.undo"), h("kbd", { "aria-hidden": "true" }, "U"));
  fill(at("undo-place"), h("span", { class: "muted" }, words), undo);
  undoing = setTimeout(() => fill(at("undo-place")), UNDO_MS);
}

// Keys

const ANY = { " ": "call", u: "undo" };

addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (!document.querySelector("dialog[open]")) at("search").focus();
    return;
  }
  if (counter === null || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const on = document.activeElement;
  if (on.closest("input, select, textarea")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((key === " " || key === "Enter") && on.closest("button, a, summary")) return;
  const ticket = line.at(counter);
  const name = ANY[key] || KEYS[ticket?.status]?.[key];
  if (name === undefined && key !== "d") return;
  event.preventDefault();
  if (event.repeat) return;
  if (key === "d") intake.open();
  else does(name, key);
});

/** Remove focus from a button after a mouse click, so that keys go to the counter. */
at("desk").addEventListener("click", (event) => {
  if (event.detail > 0 && !event.target.closest("input, select")) document.activeElement.blur();
}, true);

at("keys").addEventListener("click", () => {
  const keys = [[t("operator.key_space"), "call"], ["Enter", "enter"], ["R", "recall"], ["L", "skip"], ["T", "transfer"], ["H", "hold"], ["U", "undo"], ["Ctrl+K", "search"], ["D", "register"]];
  dialog(t("operator.keys_title"), {}, h("dl", { class: "facts keys" }, keys.flatMap(([key, name]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, t(`operator.key_${name}`))])));
});

at("register").addEventListener("click", () => intake.open());
at("reviews").addEventListener("click", () => intake.openReviews());

// The stream

function draw() {
  if (counter === null || clinic === null) return;
  desk.draw(clinic, counter, services(), acts.acting || !acts.online);
  list.draw();
}

function learn(view) {
  clinic = view;
  document.documentElement.dataset.timezone = view.timezone;
  setClock(view.at);
  if (counter !== null) known();
}

function took(name, message) {
  if (name === "snapshot") line.take(message);
  else if (name === "clinic-changed") learn(message);
  else if (name === "card") intake.moved(message);
  draw();
}

let losing = 0;
const link = shownIn(at("link"));

/** Show the stream's state late, because a stream that only changes its token is back within a moment. */
function heard(state) {
  clearTimeout(losing);
  const tell = () => {
    link(state);
    acts.online = state === "live";
    at("lost").hidden = state !== "lost";
    draw();
  };
  if (state === "lost") losing = setTimeout(tell, LOST_MS);
  else tell();
  if (state === "live") intake.count();
}

async function begin() {
  learn(await firstClinic());
  const kept = clinic.counters.find((each) => each.id === remembered());
  if (kept && kept.open) settle(kept.id);
  else chooseCounter();
  follow("/events/operator", {
    onEvent: took,
    onState: heard,
    onRefused: () => location.assign("/signin?next=/operator"),
  });
  setInterval(draw, REDRAW_MS);
}

/** Fetch the clinic, again and again until it answers, because the computer may be on before MediQ is. */
async function firstClinic() {
  for (;;) {
    try {
      return await get("/clinic");
    } catch (error) {
      if (error.status === undefined) throw error; // a defect of this page, for the console
      heard("lost");
      await new Promise((resolve) => setTimeout(resolve, LOST_MS));
    }
  }
}

begin();

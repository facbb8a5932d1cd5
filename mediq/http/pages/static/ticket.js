// The patient's page: the patient's own ticket, live.
import { follow, shownIn } from "./live.js";
import { print, write } from "./slip.js";
import { language, t } from "./words.js";

const { token, timezone, qr } = document.documentElement.dataset;
const at = (id) => document.getElementById(id);
const time = new Intl.DateTimeFormat(language, {
  timeZone: timezone, day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const title = document.title;
let before = null;

function show(ticket) {
  const { status, people_ahead: ahead, estimated_wait: wait } = ticket;
  const waiting = status === "WAITING";
  at("stage").dataset.status = status;
  at("last").textContent = ticket.last_called || t("mine.none");
  at("last").classList.toggle("words", !ticket.last_called);
  at("status").textContent = waiting && ahead === 0 ? t("mine.next") : t(`mine.at.${status}`);
  at("says").textContent = t(`mine.says.${status}`, { counter: ticket.counter_name });
  at("number").textContent = ticket.number;
  at("service").textContent = ticket.service_name;
  at("facts").hidden = !waiting;
  at("keep").hidden = !["WAITING", "ON_HOLD", "CALLED"].includes(status);
  at("ahead").textContent = ahead;
  at("estimate").textContent = wait
    ? t("mine.minutes", { low: wait.low_minutes, high: wait.high_minutes })
    : t("mine.unknown");
  const issued = time.format(new Date(ticket.issued_at));
  at("issued").textContent = t("mine.issued", { at: issued });
  document.title = status === "CALLED" ? `${t("mine.at.CALLED")} · ${ticket.counter_name}` : title;
  if (status === "CALLED" && before !== "CALLED" && before !== null && navigator.vibrate) navigator.vibrate([300, 150, 300]);
  before = status;
  write({ number: ticket.number, service: ticket.service_name, at: issued, token, qr: qr !== undefined });
}

function over() {
  for (const element of document.querySelectorAll(".mine, .facts, #print, #keep, .waiting-part")) element.hidden = true;
  at("stage").dataset.status = "GONE";
  at("status").textContent = t("mine.over");
  at("says").textContent = t("mine.again");
}

follow(`/events/ticket/${encodeURIComponent(token)}`, {
  onEvent: (name, data) => (name === "gone" ? over() : show(data)),
  onState: shownIn(at("link")),
  onRefused: over,
});
at("print").addEventListener("click", print);

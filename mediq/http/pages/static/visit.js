// One patient's ticket: how it is shown, its patient, and the acts beyond a counter's few keys.
import { get } from "./api.js";
import { dialog, field, fill, h, select } from "./dom.js";
import { print, write } from "./slip.js";
import { clock, lasting, minutesSince, now } from "./time.js";
import { busy } from "./ui.js";
import { t } from "./words.js";

/** The reasons for a higher priority, and the priority that each gives. */
export const REASONS = { hamil: "HIGH", disabilitas: "HIGH", lansia: "HIGH", darurat: "URGENT" };
const RANK = ["LOW", "NORMAL", "HIGH", "URGENT"];
const TONES = { URGENT: "bad", HIGH: "info", LOW: "" };
const LEFT = ["left", "wrong", "double", "other"];
const SHOWN = ["nik", "tempat_lahir", "tgl_lahir", "jenis_kelamin", "alamat", "kel_desa", "kecamatan", "kabupaten_kota"];
const MAY = {
  WAITING: ["priority", "transfer", "hold", "cancel"],
  ON_HOLD: ["resume", "priority", "cancel"],
  NO_SHOW: ["requeue"],
  CALLED: ["cancel"],
  IN_PROGRESS: ["cancel"],
};

/** A badge for the priority with its reason, or none for normal priority. */
export function priorityBadge({ priority, priority_reason: reason }) {
  if (priority === "NORMAL") return null;
  return h("span", { class: `badge ${TONES[priority]}` }, t(REASONS[reason] ? `line.${reason}` : `line.${priority}`));
}

/** Whole minutes from the patient's arrival to the call, or until now. */
export const waited = (ticket) => minutesSince(ticket.issued_at) - (ticket.called_at ? minutesSince(ticket.called_at) : 0);

/** How long a patient waits or waited. From half of the clinic's limit on, the colour warns. */
export function waitBadge(ticket) {
  const limit = Number(document.documentElement.dataset.maxWait);
  const minutes = waited(ticket);
  const tone = minutes >= limit ? "bad" : minutes >= limit / 2 ? "warn" : "";
  return h("span", { class: `badge wait ${tone}`, title: t("line.issued", { time: clock(ticket.issued_at) }) }, lasting(minutes));
}

export const nameOf = (clinic, service) => clinic.services.find((each) => each.id === service)?.name || service;

/** A patient's name and identity. MediQ notes in the audit trail who looked. */
export async function patientData(userId) {
  const person = await get(`/users/${userId}`);
  const rows = SHOWN.filter((name) => person[name]).flatMap((name) => [
    h("dt", {}, name === "nik" ? t("card.field_nik") : t(`card.${name}`).replace(/ \(.*/, "")),
    h("dd", {}, name === "tgl_lahir" ? `${person[name]} · ${age(person[name])}` : person[name]),
  ]);
  return [h("h3", {}, person.nama), h("dl", { class: "facts" }, rows), h("p", { class: "muted small" }, t("operator.patient_noted"))];
}

function age(born) {
  const [day, month, year] = born.split("-").map(Number);
  const today = new Date(now());
  const passed = today.getMonth() + 1 > month || (today.getMonth() + 1 === month && today.getDate() >= day);
  return t("operator.age", { years: today.getFullYear() - year - (passed ? 0 : 1) });
}

/** Print a ticket's slip, with a QR code for the patient's page if phones can reach MediQ. */
export async function printSlip(ticket, clinic) {
  const qr = await fetch(`/t/${ticket.token}/qr.svg`).then((response) => response.ok, () => false);
  const at = t("line.issued", { time: clock(ticket.issued_at) });
  write({ number: ticket.number, service: nameOf(clinic, ticket.service), at, token: ticket.token, qr });
  await print();
}

/** A dialog about one ticket. `act(name, more)` performs the act of a button and resolves to the ticket, or undefined. */
export function openVisit(ticket, { clinic, act }) {
  const told = h("p", { class: "notice bad", role: "alert" });
  const person = h("div", { class: "stack" });
  const show = h("button", { class: "button", type: "button" }, t("operator.patient_show"));
  show.addEventListener("click", () => busy(show, async () => {
    fill(person, await patientData(ticket.user_id));
    show.hidden = true;
  }, told));
  const asks = { priority: askPriority, transfer: askTransfer, cancel: askCancel };
  const button = (name) => {
    const made = h("button", { class: name === "cancel" ? "button danger" : "button", type: "button", "data-act": name }, t(`operator.${name}`));
    made.addEventListener("click", () => {
      if (asks[name]) {
        shown.close();
        asks[name](ticket, { clinic, act });
      } else busy(made, async () => (await act(name, { ticket, told })) && shown.close());
    });
    return made;
  };
  const paper = h("button", { class: "button", type: "button", click: () => printSlip(ticket, clinic) }, t("line.print"));
  const status = h("span", { class: "badge" }, t(`line.${ticket.status}`));
  const shown = dialog(
    ticket.number,
    {},
    h("p", { class: "row" }, status, priorityBadge(ticket), waitBadge(ticket), nameOf(clinic, ticket.service)),
    person,
    told,
    h("div", { class: "row" }, show, paper, MAY[ticket.status].map(button)),
  );
}

/** Ask for the service to transfer a patient to. */
export function askTransfer(ticket, { clinic, act }) {
  const told = h("p", { class: "notice bad", role: "alert" });
  const choices = clinic.services.filter((each) => each.id !== ticket.service).map((each, place) => {
    const made = h("button", { class: "button large", type: "button", autofocus: place === 0 }, each.name);
    made.addEventListener("click", () =>
      busy(made, async () => (await act("transfer", { ticket, body: { service: each.id }, told })) && shown.close()));
    return made;
  });
  const none = h("p", { class: "notice" }, t("operator.transfer_none"));
  const shown = dialog(t("operator.transfer_title", { number: ticket.number }), {}, choices.length ? choices : none, told);
}

/** Ask for the new priority. Lowering it takes a reason, for the audit trail. */
export function askPriority(ticket, { act }) {
  const told = h("p", { class: "notice bad", role: "alert" });
  const why = field(t("operator.priority_why"), h("input", { name: "why", maxlength: 200, autocomplete: "off" }));
  const now = REASONS[ticket.priority_reason] ? ticket.priority_reason : "";
  const save = h("button", { class: "button primary" }, t("staff.save"));
  const form = h("form", { class: "stack" }, reasons(now), why, told, h("div", { class: "row end" }, save));
  const priority = () => REASONS[new FormData(form).get("priority_reason")] || "NORMAL";
  const lowered = () => RANK.indexOf(priority()) < RANK.indexOf(ticket.priority);
  const fit = () => {
    why.hidden = !lowered();
  };
  form.addEventListener("change", fit);
  fit();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { priority_reason: reason, why: words } = Object.fromEntries(new FormData(form));
    const body = { priority: priority(), priority_reason: reason || null, why: (lowered() && words.trim()) || null };
    busy(save, async () => (await act("priority", { ticket, body, told })) && shown.close());
  });
  const shown = dialog(t("operator.priority_title", { number: ticket.number }), {}, form);
}

/** Ask why a ticket is cancelled. */
export function askCancel(ticket, { act }) {
  const told = h("p", { class: "notice bad", role: "alert" });
  const why = select("why", LEFT.map((name) => [t(`operator.cancel_${name}`), t(`operator.cancel_${name}`)]));
  const go = h("button", { class: "button danger" }, t("operator.cancel"));
  const form = h("form", { class: "stack" }, field(t("operator.cancel_why"), why), told, h("div", { class: "row end" }, go));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(go, async () => (await act("cancel", { ticket, body: { why: why.value }, told })) && shown.close());
  });
  const shown = dialog(t("operator.cancel_title", { number: ticket.number }), {}, form);
}

/**
 * Radio buttons for the reason of a priority, with `chosen` selected; the first is for no priority. A `priority` that has
 * another reason, or none, is one more choice.
 */
export function reasons(chosen = "", priority = null) {
  const other = REASONS[chosen] === undefined && Boolean(chosen || (priority && priority !== "NORMAL"));
  const options = [["", null], ...Object.entries(REASONS)];
  if (other) options.push([chosen, priority]);
  const words = (value, of) => (REASONS[value] ? t(`line.${value}`) : value || t(`line.${of || "NORMAL"}`));
  return h("div", { class: "choices", role: "radiogroup", "aria-label": t("card.priority") }, options.map(([value, of], place) =>
    h("label", {},
      h("input", { type: "radio", name: "priority_reason", value, "data-priority": of, checked: other ? place === options.length - 1 : value === chosen }),
      h("span", {}, words(value, of))),
  ));
}

// The kiosk: choose a service, photograph the card, take the number. It keeps nothing of a patient for the next one.
import { get, post } from "./api.js";
import { NoCamera, sendable, startCamera, takePicture } from "./camera.js";
import { print, write } from "./slip.js";
import { stayAwake } from "./wake.js";
import { has, language, t } from "./words.js";

const HOME_LANGUAGE = "id";
const HOMES = ["start", "closed", "offline"];
const IDLE_MS = { scan: 60_000, done: 25_000, desk: 25_000, failed: 25_000, start: 60_000, closed: 60_000, offline: 60_000 };
const LOOK_MS = 30_000;
const COUNT_FROM = 3;
const COUNT_MS = 800;
const WAIT_SECONDS = 20;
const READ_MS = 60_000; // the longest wait for the result of a card
const ASK_MS = 1000;
const STEPS = { start: "service", scan: "card", reading: "card", failed: "card", done: "ticket", desk: "ticket" };

const at = (id) => document.getElementById(id);
const screens = [...document.querySelectorAll("[data-screen]")];
const TIME = { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

let clinic = null;
let zone = document.documentElement.dataset.timezone;
let shown = "start";
let service = null;
let stopCamera = null;
let visit = 0; // counts the patients, so that a late result is not shown to the next patient
let idle = null;

// Screens

function show(screen) {
  shown = screen;
  for (const each of screens) each.hidden = each.dataset.screen !== screen;
  for (const step of document.querySelectorAll("[data-step]")) {
    if (step.dataset.step === STEPS[screen]) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  if (screen !== "scan") endCamera();
  screens.find((each) => each.dataset.screen === screen).querySelector("h1").focus({ preventScroll: true });
  rest();
}

/** The first screen for a patient now. */
function home() {
  if (clinic === null) return "offline";
  return clinic.services.some((each) => each.open) ? "start" : "closed";
}

/** Reset the kiosk for the next patient. */
function begin() {
  visit += 1;
  service = null;
  at("file").value = "";
  for (const id of ["number", "service", "ahead", "why", "count"]) at(id).textContent = "";
  write({ number: "", service: "", at: "" });
  show(home());
}

/** Reset the kiosk, in the clinic's own language, some time after the last touch. */
function rest() {
  clearTimeout(idle);
  if (IDLE_MS[shown] === undefined) return;
  const mine = (idle = setTimeout(() => left(mine), IDLE_MS[shown]));
}

/** Nobody has touched the kiosk since `timer` was set. Without the server the page is not loaded again. */
async function left(timer) {
  if (language !== HOME_LANGUAGE) await look();
  if (timer !== idle) return;
  if (language !== HOME_LANGUAGE && clinic !== null) location.assign(`/language/${HOME_LANGUAGE}?next=/kiosk`);
  else if (HOMES.includes(shown)) rest();
  else begin();
}

// The clinic: the services that are open now

async function look() {
  clinic = await get("/clinic", { stay: true, tries: 1 }).catch(() => null);
  if (clinic !== null) zone = clinic.timezone;
  drawServices();
  if (HOMES.includes(shown) && shown !== home()) begin();
}

function drawServices() {
  if (clinic === null) return;
  const { services } = clinic;
  at("ask").textContent = t(services.length > 1 ? "kiosk.choose" : "kiosk.title");
  at("services").replaceChildren(...services.map(serviceButton));
  at("hours").replaceChildren(...services.filter((each) => each.opens || each.closes).flatMap((each) => {
    const [name, hours] = [document.createElement("dt"), document.createElement("dd")];
    name.textContent = each.name;
    hours.textContent = t("kiosk.hours", { opens: hour(each.opens, "00:00"), closes: hour(each.closes, "24:00") });
    return [name, hours];
  }));
}

function serviceButton(each) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button primary huge";
  button.disabled = !each.open;
  button.textContent = clinic.services.length > 1 ? each.name : t("kiosk.begin");
  if (!each.open) button.append(` · ${t("kiosk.closed_service")}`);
  button.addEventListener("click", () => scan(each));
  return button;
}

const hour = (value, otherwise) => (value || otherwise).slice(0, 5).replace(":", ".");

// The card

async function scan(chosen) {
  service = chosen;
  show("scan");
  const mine = visit;
  [at("camera").hidden, at("shoot").hidden, at("upload").hidden, at("no-camera").hidden] = [false, false, true, true];
  try {
    const stop = await startCamera(at("video"));
    if (mine === visit && shown === "scan") stopCamera = stop;
    else stop();
  } catch (error) {
    if (!(error instanceof NoCamera)) throw error;
    [at("camera").hidden, at("shoot").hidden, at("upload").hidden, at("no-camera").hidden] = [true, true, false, false];
  }
}

function endCamera() {
  if (stopCamera) stopCamera();
  stopCamera = null;
}

async function shoot() {
  if (!stopCamera || at("shoot").disabled) return;
  const mine = visit;
  at("shoot").disabled = true;
  for (let left = COUNT_FROM; left > 0 && mine === visit && shown === "scan"; left -= 1) {
    at("count").textContent = left;
    await pause(COUNT_MS);
  }
  at("count").textContent = "";
  at("shoot").disabled = false;
  if (mine === visit && shown === "scan") await read(takePicture(at("video")));
}

/** Send the picture that `taken` resolves to and go on with its result, or give up after a minute. */
async function read(taken) {
  const mine = visit;
  show("reading");
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), READ_MS);
  const asked = { stay: true, signal: limit.signal };
  try {
    const form = new FormData();
    form.append("ktp_image", await taken, "ktp.jpg");
    form.append("service", service.id);
    const card = await result(await post("/ocr/process-ktp", form, { ...asked, headers: { Prefer: `wait=${WAIT_SECONDS}` } }), asked);
    if (mine === visit) finish(card);
  } catch (error) {
    if (error.status === 401 || error.status === 403) location.reload(); // the device is no longer paired
    else if (mine === visit) fail(error.status ? error.message : t(error instanceof NoCamera ? "kiosk.no_camera" : "kiosk.offline"));
  } finally {
    clearTimeout(timer);
  }
}

async function result(card, asked) {
  let told = card;
  while (["PENDING", "PROCESSING"].includes(told.status)) {
    await pause(ASK_MS);
    told = await get(`/ocr/result/${card.id}`, asked);
  }
  return told;
}

function finish(card) {
  if (card.ticket) issue(card.ticket);
  else if (["NEEDS_REVIEW", "REGISTERED"].includes(card.status)) show("desk");
  else fail(t(has(`kiosk.refused.${card.reason}`) ? `kiosk.refused.${card.reason}` : "kiosk.failed_hint"));
}

function fail(words) {
  show("failed");
  at("why").textContent = words;
}

async function issue(ticket) {
  const mine = visit;
  at("number").textContent = ticket.number;
  at("service").textContent = service.name;
  const wait = ticket.estimated_wait;
  const facts = [
    ticket.people_ahead !== null && t("kiosk.ahead", { n: ticket.people_ahead }),
    wait && t("kiosk.estimate", { low: wait.low_minutes, high: wait.high_minutes }),
  ];
  at("ahead").textContent = facts.filter(Boolean).join(" · ");
  show("done");
  const qr = await fetch(`/t/${ticket.token}/qr.svg`).then((response) => response.ok, () => false);
  if (mine !== visit) return;
  const time = new Intl.DateTimeFormat(language, { ...TIME, timeZone: zone }).format(new Date(ticket.issued_at));
  write({ number: ticket.number, service: service.name, at: time, token: ticket.token, qr });
  print();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

for (const button of document.querySelectorAll("[data-go=start]")) button.addEventListener("click", begin);
at("shoot").addEventListener("click", shoot);
at("file").addEventListener("change", () => at("file").files.length && read(sendable(at("file").files[0])));
at("again").addEventListener("click", print);
at("retry").addEventListener("click", () => scan(service));
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, rest);

await look();
begin();
setInterval(look, LOOK_MS);
stayAwake();

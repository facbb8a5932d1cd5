// The waiting-room board: shows every call, announces it once, and runs for weeks.
import { Calls } from "./calls.js";
import { follow, shownIn } from "./live.js";
import { Voice } from "./voice.js";
import { stayAwake } from "./wake.js";
import { language, t } from "./words.js";

const SHOWN_MS = 3200;
const LAST_CALLS = 6;
const GONE_MS = 30_000;

const { board, version, voice: recordings } = document.documentElement.dataset;
const at = (id) => document.getElementById(id);
const [stage, number, counter, service, said] = ["stage", "number", "counter", "service", "said"].map(at);
const [last, waiting, sound] = ["last", "waiting", "sound"].map(at);

const MARK = `mediq.board.${board}`;
const calls = new Calls(stored());
const voice = new Voice(recordings, (on) => (sound.hidden = on));
let shown = null;
let announcing = false;

// Calls

function took(name, message) {
  setClock(message.board.at);
  calls.take(name, message);
  if (!announcing && !calls.waiting.length && !stillCalled(shown)) show(message.board.calls[0] || null);
  draw();
  announce();
}

const stillCalled = (call) => call !== null && calls.board.calls.some((each) => each.number === call.number);

async function announce() {
  if (announcing) return;
  announcing = true;
  for (let call = calls.next(); call; call = calls.next()) {
    remember(call.version);
    show(call);
    draw();
    stage.classList.remove("calling");
    void stage.offsetWidth; // reading it restarts the animation, so that the same number blinks again
    stage.classList.add("calling");
    said.textContent = t("board.said", { number: call.number, counter: call.counter_name });
    await Promise.all([voice.announce(call.number, call.counter_name), pause(SHOWN_MS)]);
  }
  stage.classList.remove("calling");
  announcing = false;
  remember(calls.heard);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Screen

function show(call) {
  shown = call;
  stage.classList.toggle("idle", call === null);
  number.textContent = call ? call.number : "";
  counter.textContent = call ? call.counter_name : "";
  const of = call && calls.board.services.find((each) => each.id === call.service);
  service.textContent = of ? of.name : "";
}

function draw() {
  const { calls: made, services } = calls.board;
  const coming = new Set(calls.waiting.map((call) => call.number));
  const before = made.filter((call) => call.number !== shown?.number && !coming.has(call.number)).slice(0, LAST_CALLS);
  fill(last, before.length, (row, place) => {
    row.children[0].textContent = before[place].number;
    row.children[1].textContent = before[place].counter_name;
  });
  at("none").hidden = before.length > 0;
  fill(waiting, services.length, (row, place) => {
    row.children[0].textContent = services[place].name;
    row.children[1].textContent = services[place].waiting;
  });
  at("clinic").textContent = calls.board.clinic;
  at("notice").textContent = calls.board.notice || t("board.notice");
}

/** Give a list `count` rows from its template and write each. Existing rows are reused, so a board never grows. */
function fill(list, count, write) {
  while (list.children.length > count) list.lastElementChild.remove();
  while (list.children.length < count) list.append(at(`${list.id}-row`).content.cloneNode(true));
  [...list.children].forEach(write);
}

// The clinic's clock: a television often has the wrong time, and does not know the clinic's time zone

const clock = new Intl.DateTimeFormat("id", { timeZone: "UTC", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(language, { timeZone: "UTC", weekday: "long", day: "numeric", month: "long", year: "numeric" });
let ahead = null;

/** Set the clock by the clinic's time, which ends in its offset from UTC, such as +07:00. */
function setClock(time) {
  const [, sign, hours, minutes] = time.match(/([+-])(\d\d):(\d\d)$/) || ["", "+", 0, 0];
  const zone = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  const first = ahead === null;
  ahead = Date.parse(time) + zone - Date.now();
  if (first) tick();
}

function tick() {
  const now = Date.now() + ahead;
  at("time").textContent = clock.format(now).replace(".", ":");
  at("date").textContent = day.format(now);
  setTimeout(tick, 1000 - (now % 1000));
}

// Kept over a reload: the version up to which calls were announced, and how often each number at a counter was

function stored() {
  try {
    return JSON.parse(localStorage.getItem(MARK));
  } catch {
    return null;
  }
}

function remember(version) {
  try {
    localStorage.setItem(MARK, JSON.stringify({ version, recalls: calls.recalls }));
  } catch {
    // without storage a board announces only the calls that it sees happen
  }
}

// After an interruption MediQ may have another version; then the page loads itself again

async function renew() {
  const page = await fetch(location.href, { headers: { Accept: "text/html" } }).then((r) => r.text()).catch(() => "");
  if (page && !page.includes(`data-version="${version}"`)) location.reload();
}

const link = shownIn(at("link"));
let lost = false;
follow(`/events/board/${encodeURIComponent(board)}`, {
  onEvent: took,
  onState(state) {
    link(state);
    document.body.classList.toggle("lost", state === "lost");
    if (state === "live" && lost) renew();
    lost ||= state === "lost";
  },
  onRefused: () => GONE_MS, // the service was removed, and may come back
});

for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => voice.on || voice.wake());
voice.wake();
stayAwake();

// The page of the audit trail: who did what, when and why, a page at a time, newest first.
import { all, get } from "./api.js";
import { at, fill, h } from "./dom.js";
import { moment } from "./time.js";
import { busy } from "./ui.js";
import { has, t } from "./words.js";

const LIMIT = 50;
const SHORT = 8;
const form = at("wanted");
const told = document.querySelector("[role=alert]");
const names = new Map();
let next = null;
let asked = 0;

/** The chosen filters as a query string. */
const wanted = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));

async function draw({ on = false } = {}) {
  const mine = (asked += 1);
  const query = wanted();
  at("csv").href = `/audit.csv?${query}`;
  query.set("limit", LIMIT);
  if (on) query.set("before", next);
  told.textContent = "";
  try {
    const found = await get(`/audit?${query}`);
    if (mine !== asked) return;
    const rows = found.data.map(row);
    if (on) at("entries").append(...rows);
    else fill(at("entries"), rows);
    next = found.next;
    at("more").hidden = next === null;
    at("nothing").hidden = at("entries").children.length > 0 || next !== null;
  } catch (error) {
    told.textContent = Object.values(error.fields || {})[0] || error.message;
  }
}

function row(entry) {
  return h("tr", {},
    h("td", {}, h("time", { datetime: entry.at }, moment(entry.at))),
    h("td", {}, entry.actor === null ? t("trail.system") : names.get(entry.actor) || code(entry.actor), entry.role && h("span", { class: "muted small" }, ` ${has(`staff.role_${entry.role}`) ? t(`staff.role_${entry.role}`) : entry.role}`)),
    h("td", {}, has(`act.${entry.action}`) ? t(`act.${entry.action}`) : entry.action),
    h("td", {}, entry.subject && (names.get(entry.subject) || code(entry.subject))),
    h("td", {}, entry.why));
}

const code = (id) => h("code", { title: id }, id.length > SHORT + 2 ? `${id.slice(0, SHORT)}…` : id);

/** The names of the present staff, because the trail holds only ids. */
async function learnNames() {
  for (const role of ["OPERATOR", "ADMIN_FASKES", "KIOSK"]) {
    for (const person of await all("/users", { role })) {
      names.set(person.id, person.nama);
      at("actor").append(h("option", { value: person.id }, person.nama));
    }
  }
}

form.addEventListener("change", () => draw());
form.addEventListener("submit", (event) => event.preventDefault());
at("more").addEventListener("click", () => busy(at("more"), () => draw({ on: true })));
learnNames().catch((error) => (told.textContent = error.message)).then(() => draw());

// The report of a range of days: figures, charts, and the table behind them as a download.
import { get } from "./api.js";
import { bars, shown } from "./chart.js";
import { at, fill, h } from "./dom.js";
import { mark } from "./ui.js";
import { language, t } from "./words.js";

const STATUSES = ["COMPLETED", "WAITING", "CALLED", "IN_PROGRESS", "ON_HOLD", "NO_SHOW", "CANCELLED"];
const form = at("range");
const told = document.querySelector("[role=alert]");
const zone = document.documentElement.dataset.timezone;
let clinic = null;
let asked = 0;

/** The clinic's date `days` days ago, as YYYY-MM-DD. */
const day = (ago) => new Intl.DateTimeFormat("sv", { timeZone: zone }).format(Date.now() - ago * 86_400_000);
const dayName = (date) => new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${date}T00:00:00Z`));

function range() {
  const { days, from, to, service } = Object.fromEntries(new FormData(form));
  const wanted = days ? { from: day(days - 1), to: day(0) } : { from, to };
  return new URLSearchParams(Object.entries({ ...wanted, service }).filter(([, value]) => value));
}

async function draw() {
  const custom = new FormData(form).get("days") === "";
  if (custom && !at("from").value) [at("from").value, at("to").value] = [day(6), day(0)];
  at("dates").hidden = !custom;
  const query = range();
  at("csv").href = `/queue/statistics.csv?${query}`;
  const mine = (asked += 1);
  told.textContent = "";
  at("report").setAttribute("aria-busy", "true");
  mark(form);
  try {
    clinic ||= await get("/clinic");
    const found = await get(`/queue/statistics?${query}`);
    if (mine === asked) show(found);
  } catch (error) {
    if (mine !== asked) return;
    told.textContent = Object.values(error.fields || {})[0] || error.message;
    fill(at("report"));
  } finally {
    if (mine === asked) at("report").setAttribute("aria-busy", "false");
  }
}

function show(found) {
  const figures = h("dl", { class: "figures" },
    figure(t("report.tickets"), shown(found.tickets)),
    figure(t("report.done"), shown(found.by_status.COMPLETED || 0)),
    figure(t("report.no_show"), found.no_show_rate === null ? "—" : `${shown(found.no_show_rate * 100)} %`, t("report.no_show_hint")),
    figure(t("report.waiting"), minutes(found.waiting), t("report.median")),
    figure(t("report.serving"), minutes(found.service), t("report.median")));
  if (found.tickets === 0) return void fill(at("report"), figures, h("p", { class: "empty card" }, t("report.none")));
  const both = [t("report.p50"), t("report.p90")];
  const hours = Object.entries(found.by_hour).sort(byName); // sorted, because an object puts "10" before "09"
  const spread = (name, groups) => groups.map(([label, group]) => [label, group[name].p50, group[name].p90]);
  const days = Object.entries(found.by_day).map(([date, group]) => [dayName(date), group.steps]);
  fill(at("report"), figures, h("div", { class: "charts" },
    bars(t("report.by_hour"), spread("waiting", hours), both, t("report.minutes")),
    bars(t("report.by_hour_serving"), spread("service", hours), both, t("report.minutes")),
    table(t("report.by_service"), Object.entries(found.by_service), clinic.services),
    table(t("report.by_counter"), Object.entries(found.by_counter).sort(byName), clinic.counters),
    days.length > 1 && bars(t("report.by_day"), days, [t("report.steps")], t("report.steps")),
    bars(t("report.by_status"), STATUSES.filter((each) => found.by_status[each]).map((each) => [t(`line.${each}`), found.by_status[each]]), [t("report.tickets")], t("report.tickets"))));
}

const byName = ([one], [other]) => one.localeCompare(other, language, { numeric: true });
const minutes = (spread) => (spread.p50 === null ? "—" : shown(spread.p50));
const figure = (name, value, hint) => h("div", { class: "card" }, h("dt", { class: "muted" }, name), h("dd", { class: "number" }, value), hint && h("dd", { class: "muted small" }, hint));

/** Waiting and service times of groups, with bars for the median and the 90th percentile beside the figures. */
function table(title, groups, names) {
  const most = Math.max(1, ...groups.flatMap(([, group]) => [group.waiting.p90 || 0, group.service.p90 || 0]));
  const cell = (value, tone) => h("td", { class: "n" }, value === null ? "—" : h("span", { class: "meter" }, meter(value / most, tone), h("span", { class: "figure" }, shown(value))));
  return h("section", { class: "card stack tight wide" }, h("h2", {}, title),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, h("table", { class: "table" },
      h("thead", {}, h("tr", {}, h("td"), ["steps", "wait_p50", "wait_p90", "serve_p50", "serve_p90"].map((name) => h("th", { scope: "col", class: "n" }, t(`report.${name}`))))),
      h("tbody", {}, groups.map(([id, group]) => h("tr", {},
        h("th", { scope: "row" }, names.find((each) => each.id === id)?.name || id),
        h("td", { class: "n" }, shown(group.steps)),
        cell(group.waiting.p50, 1), cell(group.waiting.p90, 2), cell(group.service.p50, 1), cell(group.service.p90, 2)))))));
}

function meter(share, tone) {
  const bar = h("span", { class: `meter-bar bar-${tone}`, "aria-hidden": "true" });
  bar.style.width = `${Math.max(2, share * 100)}%`;
  return h("span", { class: "meter-room" }, bar);
}

form.addEventListener("change", draw);
form.addEventListener("submit", (event) => event.preventDefault());
draw();

// Bar charts as SVG in one or two colours, each with the same figures as a table.
import { h, newId } from "./dom.js";
import { t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const NARROW = matchMedia("(max-width: 40rem)").matches;
const SIZE = { width: NARROW ? 380 : 640, height: 250, left: 40, right: 8, top: 22, bottom: 30 };
const LINES = 4;
const MOST_LABELS = SIZE.width / 40;
const MOST_FIGURES = SIZE.width / 32;

/**
 * A chart of upright bars. `rows` are `[label, ...values]`, with null for no value; `series` names the values, and `unit`
 * what they count.
 */
export function bars(title, rows, series, unit) {
  const id = newId("chart");
  const svg = make("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-labelledby": id, class: "chart" });
  svg.append(text("title", { id }, `${title} (${unit})`));
  const most = Math.max(1, ...rows.flatMap((row) => row.slice(1).map((value) => value ?? 0)));
  const top = niceTop(most);
  const [wide, high] = [SIZE.width - SIZE.left - SIZE.right, SIZE.height - SIZE.top - SIZE.bottom];
  const y = (value) => SIZE.top + high * (1 - value / top);
  for (let line = 0; line <= LINES; line += 1) {
    const value = (top / LINES) * line;
    svg.append(make("line", { x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y(value), y2: y(value), class: "grid-line" }));
    svg.append(text("text", { x: SIZE.left - 6, y: y(value) + 4, class: "axis", "text-anchor": "end" }, shown(value)));
  }
  const slot = wide / rows.length;
  const bar = Math.min(34, (slot * 0.72) / series.length);
  const every = Math.ceil(rows.length / MOST_LABELS);
  rows.forEach(([label, ...values], place) => {
    const middle = SIZE.left + slot * (place + 0.5);
    values.forEach((value, which) => {
      if (value === null) return;
      const x = middle + bar * (which - series.length / 2);
      const filled = make("rect", { x: x + 1, y: y(value), width: Math.max(1, bar - 2), height: Math.max(0, y(0) - y(value)), rx: 2, class: `bar-${which + 1}` });
      filled.append(text("title", {}, `${label}, ${series[which]}: ${shown(value)}`));
      svg.append(filled);
      if (rows.length * series.length <= MOST_FIGURES) svg.append(text("text", { x: x + bar / 2, y: y(value) - 5, class: "figure", "text-anchor": "middle" }, shown(value)));
    });
    if (place % every === 0) svg.append(text("text", { x: middle, y: SIZE.height - 10, class: "axis", "text-anchor": "middle" }, short(label, slot * every)));
  });
  const legend = series.length > 1 && h("p", { class: "legend" }, series.map((name, which) => h("span", { class: `key-${which + 1}` }, name)));
  return h("figure", { class: "card stack tight" }, h("figcaption", {}, h("h2", {}, title)), legend, svg, table(title, rows, series));
}

/** The same figures as a table, closed at first. */
function table(title, rows, series) {
  return h("details", {}, h("summary", {}, t("report.table")),
    h("div", { class: "scroll" }, h("table", { class: "table" },
      h("caption", { class: "sr-only" }, title),
      h("thead", {}, h("tr", {}, h("td"), series.map((name) => h("th", { scope: "col", class: "n" }, name)))),
      h("tbody", {}, rows.map(([label, ...values]) => h("tr", {}, h("th", { scope: "row" }, label), values.map((value) => h("td", { class: "n" }, value === null ? "—" : shown(value)))))))));
}

/** The smallest round number not below `most`; a quarter of a large one is a whole number. */
function niceTop(most) {
  const scale = 10 ** Math.floor(Math.log10(most));
  const top = [1, 2, 4, 6, 8, 10].map((each) => each * scale).find((each) => each >= most);
  return Math.max(LINES, top);
}

export const shown = (value) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(value);
const short = (label, room) => (label.length * 8 > room ? `${label.slice(0, Math.max(3, Math.floor(room / 8) - 1))}…` : label);

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function text(name, attributes, words) {
  const element = make(name, attributes);
  element.textContent = words;
  return element;
}

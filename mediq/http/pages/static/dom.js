// Elements made of data: what comes from people or the server only ever becomes text or an attribute, never markup.
import { t } from "./words.js";

/** An element. Attributes that are functions listen to the event of that name; false and null leave one out. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

/** Put these children in place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

export const at = (id) => document.getElementById(id);

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

let made = 0;

/** An id that no other element of the page has. */
export const newId = (name) => `${name}-${(made += 1)}`;

/** A labelled input, select or textarea with room for a hint and for what is wrong with it. */
export function field(label, input, { hint } = {}) {
  const id = input.id || (input.id = newId(input.name || "field"));
  const wrong = h("span", { class: "wrong", id: `${id}-wrong` });
  const told = hint && h("span", { class: "hint", id: `${id}-hint` }, hint);
  input.setAttribute("aria-describedby", told ? `${id}-hint ${id}-wrong` : `${id}-wrong`);
  return h("div", { class: "field" }, h("label", { for: id }, label), input, told, wrong);
}

/** A select of `[value, label]` pairs. */
export function select(name, options, chosen) {
  const element = h("select", { name }, options.map(([value, label]) => h("option", { value }, label)));
  if (chosen !== undefined) element.value = chosen;
  return element;
}

/** A dialog that goes when it is closed; `large` for one that fills the window. Escape closes it unless `keep` says no. */
export function dialog(title, { large = false, keep = () => true, onClose = () => {} } = {}, ...content) {
  const id = newId("title");
  const element = h("dialog", { "aria-labelledby": id, class: large ? "sheet" : null });
  let over = false;
  // At once, and not with the event: what is asked next must not meet a dialog that is shut and still there.
  const end = () => {
    if (over) return;
    over = true;
    element.close();
    element.remove();
    onClose();
  };
  const shut = async () => (await keep()) && end();
  const close = h("button", { class: "close", type: "button", "aria-label": t("staff.close"), click: shut }, "×");
  const body = h("div", { class: "stack" }, content);
  element.append(h("div", { class: "dialog-head" }, h("h2", { id }, title), close), body);
  element.addEventListener("cancel", (event) => {
    event.preventDefault();
    shut();
  });
  element.addEventListener("close", end);
  document.body.append(element);
  element.showModal();
  return { element, body, close: end };
}

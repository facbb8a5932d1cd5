// Makes elements from data. Data from people or the server becomes text or an attribute, never markup.
import { t } from "./words.js";

/** An element. An attribute that is a function listens to the event of that name; false and null omit an attribute. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

export const at = (id) => document.getElementById(id);

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

let made = 0;

/** An id that is unique on the page. */
export const newId = (name) => `${name}-${(made += 1)}`;

/** A labelled input, select or textarea with a hint and a place for its error. */
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

/**
 * Open a dialog, which is removed when it is closed. `large` fills the window. Escape and the button close it if
 * `mayClose()` resolves to true.
 */
export function dialog(title, { large = false, mayClose = () => true, onClose = () => {} } = {}, ...content) {
  const id = newId("title");
  const element = h("dialog", { "aria-labelledby": id, class: large ? "sheet" : null });
  let over = false;
  // Removed at once and not on the event, because the next dialog may open before that event.
  const end = () => {
    if (over) return;
    over = true;
    element.close();
    element.remove();
    onClose();
  };
  const shut = async () => (await mayClose()) && end();
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

// The forms of the clinic's configuration: name, time zone, running text, services with letters and hours, counters.
import { field, fill, h, newId } from "./dom.js";
import { t } from "./words.js";

const ZONES = [["Asia/Jakarta", "configuration.jakarta"], ["Asia/Makassar", "configuration.makassar"], ["Asia/Jayapura", "configuration.jayapura"]];
const LETTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const NAME = 60;
const NOTICE = 300;

/** The part of a clinic that an administrator may change. */
export const configurationOf = ({ name, timezone, notice, services, counters }) => ({
  name,
  timezone,
  notice,
  services: services.map(({ id, name: called, letter, opens, closes }) => ({ id, name: called, letter, opens, closes })),
  counters: counters.map(({ id, name: called, services: takes }) => ({ id, name: called, services: takes })),
});

/** Forms over one `configuration`: they write into it as people type, and call `changed()`. */
export class ConfigurationForms {
  constructor(configuration, changed = () => {}) {
    this.configuration = configuration;
    this.changed = changed;
    this.refresh = () => {};
  }

  /** An input for one value of `object`. `path` is the name of the value in MediQ's errors. */
  input(object, name, path, attributes, { read = (value) => value, write = (value) => value ?? "" } = {}) {
    const made = h("input", { name: path, autocomplete: "off", value: write(object[name]), ...attributes });
    made.addEventListener("input", () => {
      object[name] = read(made.value);
      this.changed();
    });
    return made;
  }

  about(place) {
    const zones = h("div", { class: "choices", role: "radiogroup", "aria-label": t("configuration.timezone") }, ZONES.map(([zone, words]) =>
      h("label", {}, h("input", { type: "radio", name: "timezone", value: zone, checked: this.configuration.timezone === zone, change: () => {
        this.configuration.timezone = zone;
        this.changed();
      } }), h("span", {}, t(words)))));
    const wrong = h("span", { class: "wrong" });
    fill(place, h("div", { class: "stack" },
      field(t("configuration.name"), this.input(this.configuration, "name", "name", { required: true, maxlength: NAME })),
      h("div", { class: "field", "data-path": "timezone" }, h("span", { class: "label" }, t("configuration.timezone")), zones, wrong),
      field(t("configuration.notice"), this.input(this.configuration, "notice", "notice", { maxlength: NOTICE }), { hint: t("configuration.notice_hint") })));
  }

  services(place) {
    const list = h("ul", { class: "stack" });
    const wrong = h("p", { class: "wrong", "data-path": "services" });
    const time = { read: (value) => (value ? `${value}:00` : null), write: (value) => (value || "").slice(0, 5) };
    const draw = () => {
      drawServices();
      this.refresh();
    };
    const drawServices = () => fill(list, this.configuration.services.map((service, i) => {
      const path = `services[${i}]`;
      const letter = h("input", { name: `${path}.letter`, value: service.letter, required: true, maxlength: 1, autocomplete: "off", class: "letter" });
      letter.addEventListener("input", () => {
        letter.value = service.letter = letter.value.toUpperCase();
        this.changed();
      });
      const name = this.input(service, "name", `${path}.name`, { required: true, maxlength: NAME });
      name.addEventListener("change", () => this.refresh());
      return h("li", { class: "configuration-row", "data-path": `${path}.id` },
        field(t("configuration.service"), name),
        field(t("configuration.letter"), letter),
        field(t("configuration.opens"), this.input(service, "opens", `${path}.opens`, { type: "time" }, time)),
        field(t("configuration.closes"), this.input(service, "closes", `${path}.closes`, { type: "time" }, time)),
        this.drop(service.name, this.configuration.services.length > 1, () => {
          this.configuration.services.splice(i, 1);
          for (const counter of this.configuration.counters) counter.services = counter.services.filter((id) => id !== service.id);
          draw();
        }), h("span", { class: "wrong" }));
    }));
    const add = h("button", { class: "button", type: "button", click: () => {
      const { services } = this.configuration;
      const letter = LETTERS.find((each) => services.every((service) => service.letter !== each)) || "";
      services.push({ id: unused("poli", services), name: t("configuration.new_service"), letter, opens: null, closes: null });
      this.changed();
      draw();
      const name = list.lastElementChild.querySelector("input");
      name.focus();
      name.select();
    } }, t("configuration.add_service"));
    place.append(h("p", { class: "muted small" }, t("configuration.hours_hint")), list, wrong, h("div", { class: "row" }, add));
    draw();
  }

  counters(place) {
    const list = h("ul", { class: "stack" });
    const wrong = h("p", { class: "wrong", "data-path": "counters" });
    const draw = () => fill(list, this.configuration.counters.map((counter, i) => {
      const path = `counters[${i}]`;
      return h("li", { class: "configuration-row", "data-path": `${path}.id` },
        field(t("configuration.counter"), this.input(counter, "name", `${path}.name`, { required: true, maxlength: NAME })),
        this.takes(counter, path),
        this.drop(counter.name, this.configuration.counters.length > 1, () => {
          this.configuration.counters.splice(i, 1);
          draw();
        }), h("span", { class: "wrong" }));
    }));
    const add = h("button", { class: "button", type: "button", click: () => {
      const { counters } = this.configuration;
      const id = unused("", counters);
      counters.push({ id, name: t("configuration.new_counter", { number: id }), services: [] });
      this.changed();
      draw();
      list.lastElementChild.querySelector("input").focus();
    } }, t("configuration.add_counter"));
    place.append(list, wrong, h("div", { class: "row" }, add));
    this.refresh = draw;
    draw();
  }

  /** The services of a counter: all of them, or those that are chosen. */
  takes(counter, path) {
    const group = h("div", { class: "choices", role: "group", "aria-label": t("configuration.takes") });
    const draw = () => fill(group, [null, ...this.configuration.services].map((service) => {
      const chosen = service === null ? counter.services.length === 0 : counter.services.includes(service.id);
      const box = h("input", { type: "checkbox", checked: chosen, id: newId("takes") });
      box.addEventListener("change", () => {
        if (service === null) counter.services = [];
        else counter.services = chosen ? counter.services.filter((id) => id !== service.id) : [...counter.services, service.id];
        this.changed();
        const place = [...group.children].indexOf(box.parentElement);
        draw();
        group.children[place].firstChild.focus();
      });
      return h("label", {}, box, h("span", {}, service === null ? t("configuration.every") : service.name));
    }));
    draw();
    return h("div", { class: "field grow", "data-path": `${path}.services` }, h("span", { class: "label" }, t("configuration.takes")), group, h("span", { class: "wrong" }));
  }

  drop(name, possible, go) {
    return h("button", { class: "button danger drop-row", type: "button", disabled: !possible, "aria-label": t("configuration.remove", { name }), click: () => {
      go();
      this.changed();
    } }, "×");
  }
}

/** Show the errors in a problem's `fields` beside the inputs in `root`. Returns the errors that belong to no input. */
export function markConfiguration(root, fields = {}) {
  for (const wrong of root.querySelectorAll(".wrong")) wrong.textContent = "";
  for (const input of root.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  const unsaid = [];
  for (const [path, words] of Object.entries(fields)) {
    const input = [...root.querySelectorAll("input")].find((each) => each.name === path && each.type !== "radio");
    const part = [...root.querySelectorAll("[data-path]")].find((each) => each.dataset.path === path);
    if (input) {
      input.setAttribute("aria-invalid", "true");
      input.closest(".field").querySelector(".wrong").textContent = words;
    } else if (part) {
      const said = [...part.querySelectorAll(".wrong")].pop() || part;
      said.textContent = words;
    } else unsaid.push(words);
  }
  root.querySelector("[aria-invalid=true]")?.focus();
  return unsaid;
}

/** An id that none of the things has: a number, after a word if one is given. */
function unused(word, things) {
  for (let number = things.length + 1; ; number += 1) {
    const id = word ? `${word}-${number}` : String(number);
    if (things.every((each) => each.id !== id)) return id;
  }
}

// A card's fields beside its photo. Uncertain fields are marked, and all can be corrected.
import { field, fill, h, select } from "./dom.js";
import { reasons } from "./visit.js";
import { t } from "./words.js";

const FIRST = ["nik", "nama", "tempat_lahir", "tgl_lahir", "jenis_kelamin", "alamat", "rt_rw", "kel_desa", "kecamatan"];
const OTHER = ["kabupaten_kota", "provinsi", "gol_darah", "agama", "status_perkawinan", "pekerjaan", "kewarganegaraan", "berlaku_hingga"];
const KINDS = ["ISLAM", "KRISTEN", "KATOLIK", "HINDU", "BUDDHA", "KHONGHUCU"];
const STATUSES = ["BELUM KAWIN", "KAWIN", "CERAI HIDUP", "CERAI MATI"];
const LISTED = { agama: KINDS, status_perkawinan: STATUSES };
const MARGIN = 0.35;
const LOUPE = { width: 720, height: 150 };

/** Inputs for a ticket's service and priority; `wishes` reads their values. */
export function wishFields(clinic, chosen = {}) {
  const services = clinic.services.map((each) => [each.id, each.name]);
  const wanted = services.some(([id]) => id === chosen.service) ? chosen.service : services[0]?.[0];
  return h("div", { class: "wishes" },
    field(t("card.service"), select("service", services, wanted)),
    h("div", { class: "field" }, h("span", { class: "label" }, t("card.priority")), reasons(chosen.priority_reason || "", chosen.priority)));
}

/** The service and priority in a form's `wishFields`. */
export function wishes(form) {
  const { value, dataset } = form.querySelector("[name=priority_reason]:checked");
  return { service: new FormData(form).get("service"), priority_reason: value || null, priority: dataset.priority || null };
}

/** Inputs for the fields of a card, filled in with the values that were read. */
export function cardFields(read = {}) {
  const input = (name) => {
    const value = read[name]?.value || "";
    if (name === "jenis_kelamin") {
      const kinds = [["", ""], ["LAKI-LAKI", t("card.male")], ["PEREMPUAN", t("card.female")]];
      if (kinds.every(([kind]) => kind !== value)) kinds.push([value, value]); // cards of foreigners have other values
      return select(name, kinds, value);
    }
    const required = name === "nik" || name === "nama";
    const digits = name === "nik" || name === "tgl_lahir";
    const made = h("input", { name, value, required, maxlength: name === "nik" ? 32 : 200, autocomplete: "off", spellcheck: "false", inputmode: digits ? "numeric" : null, list: LISTED[name] ? `list-${name}` : null });
    return made;
  };
  const labelled = (name) => {
    const made = field(t(name === "nik" ? "card.field_nik" : `card.${name}`), input(name));
    const told = read[name];
    if (told && !told.certain) {
      made.classList.add("unsure");
      made.querySelector("label").append(h("span", { class: "badge warn" }, t("card.unsure")));
    }
    return made;
  };
  const doubtful = OTHER.some((name) => read[name] && !read[name].certain);
  return h("div", { class: "stack" },
    h("div", { class: "fields" }, FIRST.map(labelled)),
    h("details", { open: doubtful }, h("summary", {}, t("card.more_fields")), h("div", { class: "fields" }, OTHER.map(labelled))),
    Object.entries(LISTED).map(([name, values]) => h("datalist", { id: `list-${name}` }, values.map((value) => h("option", { value })))),
  );
}

/** The values of the fields for MediQ, without the empty ones. */
export function fieldValues(form) {
  const values = Object.fromEntries(new FormData(form));
  return Object.fromEntries([...FIRST, ...OTHER].map((name) => [name, (values[name] || "").trim()]).filter(([, value]) => value));
}

/** Show a notice, once a field is emptied, that this erases nothing from the record of a known patient. */
export function keptNotice(form, read) {
  const notice = h("p", { class: "notice warn", role: "status", hidden: true });
  form.lastChild.before(notice);
  form.addEventListener("input", () => {
    const emptied = [...form.elements].filter((each) => read[each.name]?.value && !each.value.trim());
    notice.hidden = emptied.length === 0;
    notice.textContent = notice.hidden ? "" : t("card.kept", { fields: emptied.map((each) => each.labels[0].firstChild.textContent).join(", ") });
  });
}

/** The errors of a problem under the names of the fields here. */
export const fieldErrors = (error) =>
  Object.fromEntries(Object.entries(error.fields || {}).map(([name, words]) => [name.replace(/^fields\./, ""), words]));

/**
 * The photo of a card. The field with focus is framed on the photo and enlarged below it, so that the print and the value
 * can be compared at a glance.
 */
export function photo(cardId, read, form) {
  const image = h("img", { src: `/ocr/image/${cardId}`, alt: t("card.photo") });
  const frame = h("span", { class: "frame", hidden: true });
  const loupe = h("canvas", { class: "loupe", role: "img", hidden: true });
  [loupe.width, loupe.height] = [LOUPE.width, LOUPE.height];
  const boxes = Object.entries(read).filter(([, each]) => each.box && !each.certain).map(([, each]) => placed(h("span", { class: "doubt" }), each.box));
  const figure = h("figure", { class: "photo" }, h("div", { class: "picture" }, image, boxes, frame), loupe);
  image.addEventListener("error", () => fill(figure, h("p", { class: "notice warn" }, t("card.photo_gone"))));
  const point = (input) => {
    const box = read[input.name]?.box;
    frame.hidden = loupe.hidden = !box || !image.naturalWidth;
    if (frame.hidden) return;
    placed(frame, box);
    magnify(loupe, image, box);
    loupe.setAttribute("aria-label", t("card.loupe", { field: input.labels[0].firstChild.textContent }));
  };
  form.addEventListener("focusin", (event) => point(event.target));
  image.addEventListener("load", () => form.contains(document.activeElement) && point(document.activeElement));
  return figure;
}

/** Lay an element over a box of the picture below it. */
export function placed(element, box) {
  element.style.left = `${box.x * 100}%`;
  element.style.top = `${box.y * 100}%`;
  element.style.width = `${box.width * 100}%`;
  element.style.height = `${box.height * 100}%`;
  return element;
}

/** Draw the part of the image around `box`, as large as the canvas allows. */
function magnify(canvas, image, box) {
  const [wide, high] = [image.naturalWidth, image.naturalHeight];
  const height = box.height * high * (1 + 2 * MARGIN);
  const width = Math.max(box.width * wide + height * MARGIN, (height * canvas.width) / canvas.height / 3);
  const scale = Math.min(canvas.width / width, canvas.height / height);
  const [left, top] = [(box.x + box.width / 2) * wide - canvas.width / scale / 2, (box.y + box.height / 2) * high - canvas.height / scale / 2];
  const brush = canvas.getContext("2d");
  brush.clearRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(image, left, top, canvas.width / scale, canvas.height / scale, 0, 0, canvas.width, canvas.height);
}

/** Focus the first field that needs a review. */
export const focusDoubt = (form) => (form.querySelector(".unsure input, .unsure select") || form.querySelector("input"))?.focus();

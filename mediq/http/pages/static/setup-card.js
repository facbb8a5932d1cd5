// The test card of the set-up: registered like any other, shown with its fields, and removed again.
import { get, post, remove } from "./api.js";
import { sendable } from "./camera.js";
import { fill, h } from "./dom.js";
import { placed } from "./review.js";
import { busy } from "./ui.js";
import { has, t } from "./words.js";

const WAIT_SECONDS = 30;
const SHOWN = ["nik", "nama", "tempat_lahir", "tgl_lahir", "jenis_kelamin", "alamat", "rt_rw", "kel_desa", "kecamatan", "kabupaten_kota", "provinsi"];
const { specimen } = document.documentElement.dataset;

/** The step that tests a card: the specimen or one's own. */
export function testCard() {
  const specimenShown = h("img", { class: "specimen", src: specimen, alt: "", width: 1000, height: 631 });
  const told = h("p", { class: "notice bad", role: "alert" });
  const found = h("div", { class: "stack", role: "status" });
  const read = h("button", { class: "button primary", type: "button" }, t("setup.card_specimen"));
  const input = h("input", { type: "file", accept: "image/jpeg,image/png,application/pdf", class: "sr-only", id: "own-card" });
  const own = h("label", { class: "button", for: "own-card" }, t("setup.card_own"));
  const tried = (file) => busy(read, async () => {
    fill(found, h("div", { class: "empty" }, h("span", { class: "spinner" }), h("p", {}, t("setup.card_reading"))));
    try {
      fill(found, await tryCard(await file()));
      specimenShown.hidden = true;
    } catch (error) {
      fill(found);
      throw error;
    }
  }, told);
  read.addEventListener("click", () => tried(async () => (await fetch(specimen)).blob()));
  input.addEventListener("change", () => input.files.length && tried(async () => input.files[0]));
  return h("div", { class: "stack" }, specimenShown, h("div", { class: "row drop-place" }, read, input, own), told, found);
}

/** Read the card in `file`, remove its ticket and patient, and return elements that show the result. */
async function tryCard(file) {
  const { at: began } = await get("/clinic");
  const body = new FormData();
  body.append("ktp_image", await sendable(file), "ktp");
  let card = await post("/ocr/process-ktp", body, { headers: { Prefer: `wait=${WAIT_SECONDS}` } });
  while (["PENDING", "PROCESSING"].includes(card.status)) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    card = await get(`/ocr/result/${card.id}`);
  }
  if (!Object.keys(card.fields).length) {
    const reason = t(has(`refusal.${card.reason}`) ? `refusal.${card.reason}` : "refusal.other");
    return h("p", { class: "notice warn" }, t("setup.card_failed", { reason }));
  }
  const left = card.status === "REGISTERED" ? await clear(card, began) : t("setup.card_left");
  const doubts = Object.values(card.fields).filter((each) => !each.certain).length;
  return [
    h("p", { class: doubts ? "notice warn" : "notice ok" }, t("setup.card_read", { seconds: (card.elapsed_ms / 1000).toFixed(1) }), " ", doubts ? t("setup.card_unsure", { count: doubts }) : t("setup.card_sure")),
    h("div", { class: "review" }, picture(file, card.fields), facts(card.fields)),
    h("p", { class: "muted small" }, left),
  ];
}

/** Cancel the number and delete the patient if this card created them. Returns elements that say so. */
async function clear({ ticket, user_id: userId }, began) {
  const words = { number: ticket.number };
  if (Date.parse(ticket.issued_at) < Date.parse(began)) return t("setup.card_waits", words);
  await remove(`/queue/${ticket.id}?why=${encodeURIComponent(t("setup.card_title"))}`);
  const patient = await get(`/users/${userId}`);
  if (Date.parse(patient.created_at) < Date.parse(began)) return t("setup.card_known", words);
  await remove(`/users/${userId}`);
  return t("setup.card_cleared", words);
}

function picture(file, fields) {
  if (!file.type.startsWith("image/")) return null;
  const address = URL.createObjectURL(file);
  const image = h("img", { src: address, alt: t("card.photo"), load: () => URL.revokeObjectURL(address) });
  const boxes = Object.values(fields).filter((each) => each.box).map((each) => placed(h("span", { class: each.certain ? "sure" : "doubt" }), each.box));
  return h("div", { class: "picture" }, image, boxes);
}

const facts = (fields) => h("dl", { class: "facts" }, SHOWN.filter((name) => fields[name]?.value).flatMap((name) => [
  h("dt", {}, name === "nik" ? t("card.field_nik") : t(`card.${name}`).replace(/ \(.*/, "")),
  h("dd", {}, fields[name].value, !fields[name].certain && h("span", { class: "badge warn" }, t("card.unsure"))),
]));

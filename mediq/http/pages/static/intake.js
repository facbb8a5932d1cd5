// Registers patients at a counter by card, by NIK or by hand, and reviews the cards that kiosks read without certainty.
import { all, get, post } from "./api.js";
import { NoCamera, sendable, startCamera, takePicture } from "./camera.js";
import { at, dialog, field, fill, h } from "./dom.js";
import { cardFields, fieldErrors, fieldValues, focusDoubt, keptNotice, photo, wishes, wishFields } from "./review.js";
import { clock } from "./time.js";
import { busy, confirmed, mark, toast } from "./ui.js";
import { nameOf, printSlip } from "./visit.js";
import { has, t } from "./words.js";

const TABS = ["camera", "file", "nik", "hand"];
const TAB = "mediq.intake";
const PENDING = ["PENDING", "PROCESSING"];
const POLL_MS = 2000;
const GATHER_MS = 1000;
const WAIT_SECONDS = 20;
const FROM = { KIOSK: "card.from_kiosk", OPERATOR: "card.from_staff", ADMIN_FASKES: "card.from_staff" };

export class Intake {
  /** `clinic()` returns the present clinic; `issued(ticket)` is called for each new ticket. */
  constructor({ clinic, issued }) {
    this.clinic = clinic;
    this.issued = issued;
    this.sheet = null;
    this.chosen = {};
    this.leaving = [];
    this.edited = false;
    this.awaited = null;
    this.waiting = 0;
    this.counting = 0;
  }

  // Cards that wait for a review

  /** Show how many cards wait for a review. */
  async count() {
    const { pagination } = await get("/ocr/reviews?limit=1").catch(() => ({ pagination: null }));
    if (pagination === null) return;
    this.waiting = pagination.total;
    at("reviews-count").textContent = this.waiting;
    at("reviews-count").hidden = this.waiting === 0;
    at("reviews-count").setAttribute("aria-label", t("card.waiting"));
  }

  /** A card has a new status. Several changes within a second cause one request. */
  moved({ id, status }) {
    if (status === "NEEDS_REVIEW" || (status === "REGISTERED" && this.waiting > 0)) {
      this.counting ||= setTimeout(() => {
        this.counting = 0;
        this.count();
      }, GATHER_MS);
    }
    if (this.awaited?.id === id && !PENDING.includes(status)) this.awaited.done();
  }

  async openReviews() {
    const cards = await all("/ocr/reviews");
    const rows = cards.map((each) => h("li", { class: "row" },
      h("span", { class: "badge" }, t(FROM[each.role] || "card.from_open")),
      h("span", {}, t("card.taken", { time: clock(each.taken_at) })),
      each.service && h("span", { class: "muted" }, nameOf(this.clinic(), each.service)),
      each.reason && h("span", { class: "badge warn" }, reasonWords(each.reason)),
      h("button", { class: "button push", type: "button", click: (event) => busy(event.currentTarget, async () => {
        const card = await get(`/ocr/result/${each.id}`);
        shown.close();
        this.open(() => this.reviewed(card, each));
      }) }, t("card.check"))));
    const shown = dialog(t("card.waiting"), {}, rows.length ? h("ul", { class: "reviews" }, rows) : h("p", { class: "empty" }, t("card.waiting_none")));
  }

  // The dialog

  /** Open the dialog at `first` or at the start. Service and priority of the patient before are cleared. */
  open(first = () => this.choose()) {
    if (this.sheet) return;
    this.chosen = { service: this.chosen.service };
    this.sheet = dialog(t("card.title"), {
      large: true,
      mayClose: async () => !this.edited || confirmed(t("card.leave"), { yes: t("card.leave_yes") }),
      onClose: () => {
        this.left();
        this.sheet = null;
        this.awaited = null;
      },
    });
    first();
  }

  /** Show another screen in the dialog, and stop what the screen before was doing. */
  show(...content) {
    this.left();
    if (this.sheet) fill(this.sheet.body, ...content);
  }

  left() {
    for (const leave of this.leaving.splice(0)) leave();
    this.edited = false;
  }

  /** The first screen: service and priority, then the way to register. */
  choose(tab = localStorage.getItem(TAB) || TABS[0]) {
    const form = h("form", { class: "stack" }, wishFields(this.clinic(), this.chosen));
    form.addEventListener("change", () => (this.chosen = wishes(form)));
    form.addEventListener("submit", (event) => event.preventDefault());
    this.chosen = wishes(form);
    const place = h("div", { class: "stack", role: "tabpanel", id: "intake" });
    const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": t("card.title") }, TABS.map((name) =>
      h("button", { type: "button", role: "tab", "aria-controls": "intake", "aria-selected": "false", "data-tab": name, click: () => turn(name) }, t(`card.tab_${name}`))));
    const turn = (name) => {
      this.left();
      localStorage.setItem(TAB, name);
      for (const each of tabs.children) {
        each.setAttribute("aria-selected", String(each.dataset.tab === name));
        each.tabIndex = each.dataset.tab === name ? 0 : -1;
      }
      fill(place, this[name]());
    };
    tabs.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs.children[(TABS.indexOf(event.target.dataset.tab) + step + TABS.length) % TABS.length];
      next.focus();
      next.click();
    });
    this.show(form, tabs, place);
    turn(TABS.includes(tab) ? tab : TABS[0]);
    tabs.querySelector("[aria-selected=true]").focus();
  }

  camera() {
    const video = h("video", { "aria-label": t("card.tab_camera") });
    const told = h("p", { class: "notice warn", role: "status" });
    const take = h("button", { class: "button primary large", type: "button", hidden: true }, t("card.camera_take"));
    const start = h("button", { class: "button primary large", type: "button" }, t("card.camera_start"));
    const view = h("div", { class: "camera", hidden: true }, video, h("div", { class: "guide", "aria-hidden": "true" }));
    const guarded = (work) => async () => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof NoCamera)) throw error;
        told.textContent = t("card.camera_none", { reason: t(`card.camera_${error.reason}`) });
      }
    };
    const turnOn = () => busy(start, guarded(async () => {
      const stop = await startCamera(video);
      if (!view.isConnected) return stop();
      this.leaving.push(stop);
      [view.hidden, take.hidden, start.hidden] = [false, false, true];
      take.focus();
    }));
    start.addEventListener("click", turnOn);
    take.addEventListener("click", () => busy(take, guarded(async () => this.send(await takePicture(video)))));
    return [h("p", { class: "muted" }, t("card.camera_hint")), view, told, h("div", { class: "row" }, start, take)];
  }

  file() {
    const input = h("input", { type: "file", accept: "image/jpeg,image/png,application/pdf", class: "sr-only", id: "card-file" });
    const place = h("label", { class: "drop", for: "card-file" },
      h("strong", {}, t("card.drop")), h("span", { class: "muted" }, t("card.drop_hint")), h("span", { class: "button", "aria-hidden": "true" }, t("card.choose")));
    const took = (files) => files.length > 0 && this.send(files[0]);
    input.addEventListener("change", () => took(input.files));
    place.addEventListener("dragover", (event) => {
      event.preventDefault();
      place.classList.add("over");
    });
    place.addEventListener("dragleave", () => place.classList.remove("over"));
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      took(event.dataTransfer.files);
    });
    const paste = (event) => took(event.clipboardData.files);
    document.addEventListener("paste", paste);
    this.leaving.push(() => document.removeEventListener("paste", paste));
    return h("div", { class: "drop-place" }, input, place);
  }

  nik() {
    const told = h("p", { class: "notice", role: "status" });
    const find = h("button", { class: "button primary" }, t("card.nik_search"));
    const input = h("input", { name: "nik", inputmode: "numeric", autocomplete: "off", required: true, maxlength: 16, minlength: 16, pattern: "\\d{16}" });
    const next = h("div", { class: "row" });
    const form = h("form", { class: "stack narrow" }, field(t("card.nik"), input), h("div", { class: "row" }, find), told, next);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      fill(next);
      mark(form);
      busy(find, async () => {
        const { exists, user_id: userId } = await get(`/users/check-nik/${input.value}`).catch((error) => {
          mark(form, error.fields);
          throw error;
        });
        told.textContent = t(exists ? "card.nik_known" : "card.nik_unknown");
        const go = exists
          ? h("button", { class: "button primary", type: "button", click: () => busy(go, async () => this.done(await this.ticketFor(userId)), told) }, t("card.issue"))
          : h("button", { class: "button", type: "button", click: () => this.handed({ nik: { value: input.value, certain: true } }) }, t("card.nik_by_hand"));
        fill(next, go);
        go.focus();
      }, told);
    });
    return form;
  }

  hand() {
    return this.form({}, async (fields) => {
      const patient = await post("/users/create-from-ocr", fields);
      return this.ticketFor(patient.id);
    });
  }

  handed(read) {
    this.choose("hand");
    for (const [name, each] of Object.entries(read)) this.sheet.body.querySelector(`[name=${name}]`).value = each.value;
  }

  ticketFor(userId) {
    return post("/queue/add", { user_id: userId, ...this.chosen });
  }

  /** A form of card fields with the button that stores them. `store(fields)` resolves to the ticket. */
  form(read, store) {
    const told = h("p", { class: "notice bad", role: "alert" });
    const save = h("button", { class: "button primary large" }, t("card.store"));
    const form = h("form", { class: "stack", novalidate: true }, cardFields(read), told, h("div", { class: "row" }, save));
    form.addEventListener("input", () => (this.edited = true));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      mark(form);
      busy(save, async () => {
        try {
          this.done(await store(fieldValues(form), form));
        } catch (error) {
          mark(form, fieldErrors(error));
          form.querySelector("details").open ||= form.querySelector("details [aria-invalid=true]") !== null;
          throw error;
        }
      }, told);
    });
    return form;
  }

  // Reading a card

  /** Send a picture, wait for the result, and go on with it. */
  async send(file) {
    const sheet = this.sheet;
    const picture = await sendable(file);
    if (this.sheet !== sheet) return;
    const body = new FormData();
    body.append("ktp_image", picture, "ktp");
    for (const [name, value] of Object.entries(this.chosen)) if (value) body.append(name, value);
    this.show(h("div", { class: "empty", role: "status" }, h("span", { class: "spinner" }), h("p", {}, t("card.reading"))));
    try {
      let card = await post("/ocr/process-ktp", body, { headers: { Prefer: `wait=${WAIT_SECONDS}` } });
      while (PENDING.includes(card.status) && this.sheet === sheet) {
        await this.further(card.id);
        card = await get(`/ocr/result/${card.id}`);
      }
      if (this.sheet === sheet) this.reviewed(card);
      else if (card.status === "REGISTERED") this.issued(card.ticket);
    } catch (error) {
      if (this.sheet === sheet) this.failed(error.message);
      else toast(`${t("card.failed")}. ${error.message}`, { bad: true });
      if (error.status === undefined) throw error;
    }
  }

  /** Wait until the card's status changes, or until it is time to ask again. */
  further(id) {
    return new Promise((resolve) => {
      this.awaited = { id, done: resolve };
      setTimeout(resolve, POLL_MS);
    });
  }

  /** Go on with a card that was read. `wished` is the service and priority that another device sent with the card. */
  reviewed(card, wished) {
    if (card.status === "REGISTERED") return this.done(card.ticket, card.fields.nama?.value);
    if (card.status !== "NEEDS_REVIEW") return this.failed(reasonWords(card.reason));
    if (wished) this.chosen = { service: wished.service || this.chosen.service, priority: wished.priority, priority_reason: wished.priority_reason };
    const doubts = Object.values(card.fields).filter((each) => !each.certain).length;
    const wish = h("form", { class: "stack" }, wishFields(this.clinic(), this.chosen));
    wish.addEventListener("change", () => (this.chosen = wishes(wish)));
    const form = this.form(card.fields, async (fields) => {
      const done = await post(`/ocr/confirm/${card.id}`, { fields, ...wishes(wish) });
      return done.ticket;
    });
    keptNotice(form, card.fields);
    const picture = photo(card.id, card.fields, form);
    this.show(
      h("div", { class: "review" },
        h("div", { class: "stack photo-side" }, picture, card.warnings.map((each) => h("p", { class: "notice warn" }, each))),
        h("div", { class: "stack" },
          h("h3", {}, t("card.review")),
          h("p", { class: doubts ? "notice warn" : "notice ok" }, doubts ? `${t("card.unsure_count", { count: doubts })}. ${t("card.review_hint")}` : t("card.all_sure")),
          card.reason && h("p", { class: "notice warn" }, reasonWords(card.reason)),
          wish, form)),
    );
    focusDoubt(form);
  }

  failed(words) {
    const again = h("button", { class: "button primary", type: "button", click: () => this.choose() }, t("card.retry"));
    const hand = h("button", { class: "button", type: "button", click: () => this.choose("hand") }, t("card.nik_by_hand"));
    this.show(h("div", { class: "empty", role: "alert" }, h("h3", {}, t("card.failed")), h("p", {}, words), h("div", { class: "row" }, again, hand)));
    again.focus();
  }

  /** Show the patient's number. `name` is the patient's name if only the card told it. */
  done(ticket, name) {
    this.issued(ticket);
    this.count();
    this.chosen = { service: this.chosen.service };
    if (!ticket) return this.sheet?.close();
    const next = h("button", { class: "button primary large", type: "button", click: () => this.choose() }, t("card.next"));
    const print = h("button", { class: "button large", type: "button", click: () => printSlip(ticket, this.clinic()) }, t("line.print"));
    const wait = ticket.estimated_wait;
    this.show(h("div", { class: "issued", role: "status" },
      h("p", {}, name && h("strong", {}, name, " · "), t("card.ready"), " · ", nameOf(this.clinic(), ticket.service)),
      h("p", { class: "number" }, ticket.number),
      h("p", {}, ticket.people_ahead !== null && t("line.ahead", { count: ticket.people_ahead }), wait && ` · ${t("line.estimate", { low: wait.low_minutes, high: wait.high_minutes })}`),
      h("div", { class: "row" }, print, next)));
    print.focus();
  }
}

/** The reason, as a text, why a card was not read or registered. */
const reasonWords = (reason) => t(has(`refusal.${reason}`) ? `refusal.${reason}` : "refusal.other");

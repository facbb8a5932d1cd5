// Sets MediQ up, step by step. The browser keeps what was typed, except a password, until it is stored. If somebody else
// changes the clinic meanwhile, their changes win. The token stands after the # of the link, which browsers do not send.
import { get, post, put } from "./api.js";
import { ConfigurationForms, configurationOf, markConfiguration } from "./clinic-configuration.js";
import { at, field, fill, h } from "./dom.js";
import { testCard } from "./setup-card.js";
import { busy, mark } from "./ui.js";
import { t } from "./words.js";

const DRAFT = "mediq.setup";
const TOKEN = "mediq.setup.token"; // kept as long as the tab is open, because the page in another language has another address
const STEP = "mediq.setup.step"; // the present step is kept as well
const STEPS = ["account", "clinic", "services", "counters", "card", "done"];
const GONE = ["setup-token-unknown", "already-set-up"];
const { role } = document.documentElement.dataset;
const token = location.hash.slice(1) || sessionStorage.getItem(TOKEN) || "";
let draft = JSON.parse(localStorage.getItem(DRAFT) || "{}");
let step = sessionStorage.getItem(STEP);

const keep = () => localStorage.setItem(DRAFT, JSON.stringify(draft));

/** Show a step, and make the browser's back button lead to the step before. */
function go(to, { remember = true } = {}) {
  step = to;
  sessionStorage.setItem(STEP, step);
  if (remember) history.pushState({ step }, "", location.pathname);
  draw();
}

function draw() {
  for (const each of at("steps").children) {
    const [here, now] = [STEPS.indexOf(each.dataset.step), STEPS.indexOf(step)];
    each.className = here < now ? "past" : "";
    if (here === now) each.setAttribute("aria-current", "step");
    else each.removeAttribute("aria-current");
  }
  SHOWN[step]();
  at("step").querySelector("h2").focus();
}

/** The head of a step: its number, its title and its purpose. */
function head(step) {
  return h("div", { class: "stack tight" },
    h("p", { class: "muted small" }, t("setup.step", { step: STEPS.indexOf(step) + 1, steps: STEPS.length })),
    h("h2", { tabindex: -1 }, t(`setup.${step}_title`)),
    h("p", { class: "muted" }, t(`setup.${step}_intro`)));
}

const told = () => h("p", { class: "notice bad", role: "alert" });
const back = (step) => h("button", { class: "button large", type: "button", click: () => go(step) }, t("setup.back"));

// The administrator

function account() {
  const problem = told();
  const input = (name, type, autocomplete, more = {}) => {
    const made = h("input", { name, type, autocomplete, required: true, value: type === "password" ? null : draft[name], ...more });
    if (type !== "password") made.addEventListener("input", () => {
      draft[name] = made.value;
      keep();
    });
    return made;
  };
  const create = h("button", { class: "button primary large" }, t("setup.create"));
  const form = h("form", { class: "stack" },
    field(t("setup.name"), input("nama", "text", "name", { maxlength: 200 })),
    field(t("setup.email"), input("email", "email", "username", { maxlength: 254 })),
    field(t("setup.password"), input("password", "password", "new-password", { minlength: 10, maxlength: 256 }), { hint: t("setup.password_hint") }),
    field(t("setup.again"), input("again", "password", "new-password", { minlength: 10, maxlength: 256 })),
    problem,
    h("div", { class: "row end" }, create));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { nama, email, password, again } = Object.fromEntries(new FormData(form));
    mark(form, password === again ? {} : { again: t("setup.differ") });
    if (password !== again) return;
    busy(create, async () => {
      try {
        await post("/auth/setup", { token, nama, email, password }, { stay: true });
      } catch (error) {
        if (GONE.includes(error.code)) {
          sessionStorage.removeItem(TOKEN);
          return closed("setup.used");
        }
        mark(form, error.fields);
        throw error;
      }
      sessionStorage.removeItem(TOKEN);
      await post("/session", { email, password }, { stay: true });
      await begin();
      return go("clinic");
    }, problem);
  });
  fill(at("step"), head("account"), form);
  if (!token) closed("setup.no_token");
}

/** Show that the set-up needs another link, or a user who is signed in. */
function closed(words) {
  fill(at("step"), head("account"), h("p", { class: "notice warn", role: "alert" }, t(words)),
    h("div", { class: "row" }, h("a", { class: "button primary", href: "/signin?next=/setup" }, t("setup.signin"))));
}

// The clinic

/** Begin with the draft in this browser, unless the clinic was changed since. */
async function begin() {
  const clinic = await get("/clinic");
  if (!draft.configuration || draft.revision !== clinic.revision) holds(clinic);
}

/** Begin with the clinic as MediQ has it, without a draft. */
function holds(clinic) {
  draft = { configuration: configurationOf(clinic), revision: clinic.revision };
  localStorage.removeItem(DRAFT);
}

/** A step with one part of the clinic's configuration. `next` continues with what was filled in. */
function part(step, before, next) {
  const place = h("div", { class: "stack" });
  const problem = told();
  const on = h("button", { class: "button primary large" }, t("setup.next"));
  const form = h("form", { class: "stack loose" }, place, problem, h("div", { class: "row end" }, before && back(before), on));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(on, () => next(form), problem);
  });
  fill(at("step"), head(step), form);
  const forms = new ConfigurationForms(draft.configuration, keep);
  if (step === "clinic") forms.about(place);
  else forms[step](place);
}

/** Store the clinic. Errors are shown in the step that asked for the value. */
async function store() {
  try {
    holds(await put("/clinic", { ...draft.configuration, revision: draft.revision }));
  } catch (error) {
    const [first = ""] = Object.keys(error.fields || {});
    const wrong = first.startsWith("services") && !first.endsWith(".id") ? "services" : /^(name|timezone)/.test(first) ? "clinic" : "counters";
    if (wrong !== step) go(wrong);
    markConfiguration(at("step"), error.fields);
    at("step").querySelector("[role=alert]").textContent = error.message;
    return;
  }
  go("card");
}

// The card, and the end

function card() {
  const on = h("button", { class: "button primary large", type: "button", click: () => go("done") }, t("setup.next"));
  fill(at("step"), head("card"), testCard(), h("div", { class: "row end" }, back("counters"), on));
}

function done() {
  const over = () => sessionStorage.removeItem(STEP);
  const link = (name, href) => h("a", { class: "card", href, click: over }, h("h3", {}, t(`setup.done_${name}`)), h("p", { class: "muted" }, t(`setup.done_${name}_does`)));
  fill(at("step"), head("done"),
    h("div", { class: "grid" }, link("board", "/display/all"), link("operator", "/operator"), link("kiosk", "/admin/devices"), link("staff", "/admin/users")),
    h("div", { class: "row end" }, back("card"), h("a", { class: "button primary large", href: "/admin", click: over }, t("setup.finish"))));
}

const SHOWN = {
  account,
  clinic: () => part("clinic", null, () => go("services")),
  services: () => part("services", "clinic", () => go("counters")),
  counters: () => part("counters", "services", store),
  card,
  done,
};

addEventListener("popstate", ({ state }) => {
  if (state?.step) go(state.step, { remember: false });
  else if (role !== "ADMIN_FASKES" && !draft.configuration) draw();
  else history.forward(); // the account exists, so its step is over
});

if (role === "ADMIN_FASKES") {
  await begin();
  if (!STEPS.includes(step) || step === "account") step = "clinic";
  history.replaceState({ step }, "", location.pathname);
  go(step, { remember: false });
} else {
  if (token) sessionStorage.setItem(TOKEN, token);
  step = "account";
  draft = { nama: draft.nama, email: draft.email };
  draw();
}

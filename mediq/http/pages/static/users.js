// The page of users: staff with their roles and passwords, patients with their record.
import { get, patch, post, remove } from "./api.js";
import { at, dialog, field, fill, h, select } from "./dom.js";
import { moment } from "./time.js";
import { busy, confirmed, mark, toast } from "./ui.js";
import { t } from "./words.js";

const LIMIT = 20;
const TYPING_MS = 250;
const STAFF = ["OPERATOR", "ADMIN_FASKES"];
const told = document.querySelector("[role=alert]");
let page = 1;
let me = null;
let asked = 0;
let typing = 0;

async function draw() {
  const mine = (asked += 1);
  const role = document.querySelector("[name=role]:checked").value;
  const search = at("search").value.trim();
  const query = new URLSearchParams({ role, page, limit: LIMIT, ...(search && { search }) });
  try {
    me ||= await get("/users/profile");
    const found = await get(`/users?${query}`);
    if (mine !== asked) return;
    told.textContent = "";
    show(found);
  } catch (error) {
    told.textContent = error.message;
  }
}

function show({ data, pagination }) {
  const row = (person) => h("tr", {},
    h("th", { scope: "row" }, person.nama, person.id === me.id && h("span", { class: "badge ok" }, t("people.you"))),
    h("td", {}, person.email || person.nik),
    h("td", {}, moment(person.created_at)),
    h("td", { class: "n" }, h("button", { class: "button", type: "button", "aria-label": t("people.manage_who", { name: person.nama }), click: () => manage(person) }, t("people.manage"))));
  const turn = (name, to, possible) => h("button", { class: "button", type: "button", disabled: !possible, click: () => {
    page = to;
    draw();
  } }, t(`people.${name}`));
  fill(at("people"),
    data.length
      ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t("people.title") }, h("table", { class: "table" },
          h("thead", {}, h("tr", {}, ["name", "contact", "since"].map((name) => h("th", { scope: "col" }, t(`people.${name}`))), h("td", {}))),
          h("tbody", {}, data.map(row))))
      : h("p", { class: "empty" }, t("admin.nothing")),
    h("div", { class: "row" }, h("span", { class: "muted" }, t("admin.total", { count: pagination.total })),
      pagination.pages > 1 && h("div", { class: "row push" }, turn("before", page - 1, page > 1), t("people.pages", { page, pages: pagination.pages }), turn("after", page + 1, page < pagination.pages))));
}

/** The dialog for one person. */
function manage(person) {
  const problem = h("p", { class: "notice bad", role: "alert" });
  const name = person.nama;
  const done = (words) => {
    shown.close();
    toast(t(words, { name }));
    draw();
  };
  const parts = [];
  if (person.email && person.id !== me.id) {
    const role = select("role", STAFF.map((each) => [each, t(`staff.role_${each}`)]), person.role);
    const change = h("button", { class: "button" }, t("people.change_role"));
    parts.push(form([field(t("people.role"), role)], change, problem, async () => {
      await patch(`/users/${person.id}/role`, { role: role.value });
      done("people.role_changed");
    }));
    const password = h("input", { name: "new_password", type: "password", autocomplete: "new-password", required: true, minlength: 10, maxlength: 256 });
    const reset = h("button", { class: "button" }, t("people.reset"));
    parts.push(form([field(t("people.reset"), password, { hint: t("staff.password_hint") })], reset, problem, async () => {
      await patch(`/users/${person.id}/password`, { new_password: password.value });
      done("people.reset_done");
    }));
  }
  const gone = h("button", { class: "button danger", type: "button" }, t("people.remove"));
  gone.addEventListener("click", () => busy(gone, async () => {
    if (!(await confirmed(t("people.remove_sure", { name }), { yes: t("people.remove") }))) return;
    await remove(`/users/${person.id}`);
    done("people.removed");
  }, problem));
  const shown = dialog(name, {},
    h("p", { class: "muted" }, `${t(`staff.role_${person.role}`)} · ${person.email || person.nik}`),
    parts, problem,
    person.id !== me.id && h("div", { class: "row end" }, gone));
}

/** A small form with its own button. `work` throws the errors of its fields. */
function form(fields, button, problem, work) {
  const made = h("form", { class: "stack tight" }, fields, h("div", { class: "row" }, button));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    mark(made);
    busy(button, async () => {
      try {
        await work();
      } catch (error) {
        mark(made, error.fields);
        throw error;
      }
    }, problem);
  });
  return made;
}

function add() {
  const problem = h("p", { class: "notice bad", role: "alert" });
  const input = (name, type, autocomplete, more = {}) => h("input", { name, type, autocomplete, required: true, ...more });
  const [nama, email] = [input("nama", "text", "off", { maxlength: 200 }), input("email", "email", "off", { maxlength: 254 })];
  const password = input("password", "password", "new-password", { minlength: 10, maxlength: 256 });
  const role = select("role", STAFF.map((each) => [each, t(`staff.role_${each}`)]), STAFF[0]);
  const save = h("button", { class: "button primary" }, t("people.add"));
  const fields = [field(t("people.name"), nama), field(t("people.email"), email), field(t("people.password"), password, { hint: t("people.password_hint") }), field(t("people.role"), role)];
  const made = form(fields, save, problem, async () => {
    await post("/users", { nama: nama.value, email: email.value, password: password.value, role: role.value });
    shown.close();
    toast(t("people.created", { name: nama.value }));
    document.querySelector(`[name=role][value=${role.value}]`).checked = true;
    again();
  });
  made.classList.remove("tight");
  made.lastChild.before(problem);
  const shown = dialog(t("people.add"), {}, made);
}

function again() {
  page = 1;
  draw();
}

at("add").addEventListener("click", add);
at("roles").addEventListener("change", again);
at("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(again, TYPING_MS);
});
draw();

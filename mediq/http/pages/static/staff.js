// The parts of every staff page: the account with its password, and signing out.
import { get, patch, post, remove } from "./api.js";
import { at, dialog, field, h } from "./dom.js";
import { busy, mark, toast } from "./ui.js";
import { t } from "./words.js";

at("signout").addEventListener("click", () => busy(at("signout"), leave));

async function leave() {
  await remove("/session");
  location.assign("/signin");
}

at("account").addEventListener("click", () =>
  busy(at("account"), async () => {
    const me = await get("/users/profile");
    const form = passwordForm(me.email);
    const everywhere = h("button", { class: "button", type: "button" }, t("staff.everywhere"));
    everywhere.addEventListener("click", () => busy(everywhere, async () => {
      await post("/auth/logout-all", {});
      location.assign("/signin");
    }));
    const shown = dialog(
      me.nama,
      {},
      h("p", { class: "muted" }, `${t(`staff.role_${me.role}`)} · ${me.email}`),
      h("h3", {}, t("staff.password")),
      form,
      everywhere,
    );
    form.addEventListener("done", () => {
      shown.close();
      toast(t("staff.password_saved"));
    });
  }),
);

/** The form that changes the user's own password, which ends the user's other sessions. It fires `done`. */
function passwordForm(email) {
  const input = (name, kind) =>
    h("input", { name, type: "password", autocomplete: kind, required: true, maxlength: 256, minlength: kind === "new-password" ? 10 : 1 });
  const told = h("p", { class: "notice bad", role: "alert" });
  const save = h("button", { class: "button primary" }, t("staff.password_save"));
  const form = h(
    "form",
    { class: "stack" },
    // for password managers, which need the user's name
    h("input", { type: "text", autocomplete: "username", value: email, hidden: true, "aria-hidden": "true", tabindex: -1 }),
    field(t("staff.password_now"), input("current_password", "current-password")),
    field(t("staff.password_new"), input("new_password", "new-password"), { hint: t("staff.password_hint") }),
    field(t("staff.password_again"), input("again", "new-password")),
    told,
    h("div", { class: "row end" }, save),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { current_password, new_password, again } = Object.fromEntries(new FormData(form));
    mark(form, new_password === again ? {} : { again: t("staff.password_differ") });
    if (new_password !== again) return;
    busy(save, async () => {
      try {
        await patch("/users/password", { current_password, new_password }, { stay: true });
      } catch (error) {
        mark(form, error.fields);
        throw error;
      }
      form.dispatchEvent(new Event("done"));
    }, told);
  });
  return form;
}

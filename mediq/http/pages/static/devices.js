// The page of devices that patients use alone: lists them, pairs this device, revokes one.
import { all, post, remove } from "./api.js";
import { at, fill, h } from "./dom.js";
import { moment } from "./time.js";
import { busy, confirmed, mark, toast } from "./ui.js";
import { t } from "./words.js";

const [told, problem] = document.querySelectorAll("[role=alert]");
const form = at("pair");

async function draw() {
  try {
    const data = await all("/users", { role: "KIOSK" });
    fill(at("kiosks"), data.length
      ? h("ul", { class: "reviews" }, data.map((each) => h("li", { class: "row" }, h("strong", {}, each.nama), h("span", { class: "muted" }, t("devices.since", { time: moment(each.created_at) })), revoke(each))))
      : h("p", { class: "muted" }, t("devices.none")));
  } catch (error) {
    told.textContent = error.message;
  }
}

function revoke({ id, nama: name }) {
  const button = h("button", { class: "button danger push", type: "button", "aria-label": `${t("devices.revoke")} ${name}` }, t("devices.revoke"));
  button.addEventListener("click", () => busy(button, async () => {
    if (!(await confirmed(t("devices.revoke_sure", { name }), { yes: t("devices.revoke") }))) return;
    await remove(`/users/${id}`);
    toast(t("devices.revoked", { name }));
    draw();
  }));
  return button;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  mark(form);
  busy(form.querySelector(".button"), async () => {
    if (!(await confirmed(t("devices.pair_sure"), { yes: t("devices.pair"), danger: false }))) return;
    try {
      await post("/devices", { nama: at("nama").value });
    } catch (error) {
      mark(form, error.fields);
      throw error;
    }
    location.assign("/kiosk");
  }, problem);
});

draw();

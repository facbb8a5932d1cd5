// The first administrator. The link's token stands behind the # of the address, which browsers send to nobody.
import { post } from "./api.js";
import { busy, mark } from "./ui.js";
import { t } from "./words.js";

const form = document.querySelector("form");
const told = document.querySelector("[role=alert]");
const token = location.hash.slice(1);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { nama, email, password, again } = Object.fromEntries(new FormData(form));
  mark(form);
  if (password !== again) {
    mark(form, { again: t("setup.differ") });
    return;
  }
  busy(form.querySelector("button"), async () => {
    try {
      await post("/auth/setup", { token, nama, email, password }, { stay: true });
    } catch (error) {
      mark(form, error.fields);
      throw error;
    }
    history.replaceState(null, "", location.pathname);
    form.hidden = true;
    document.getElementById("done").hidden = false;
  }, told);
});

if (!token) told.textContent = t("setup.no_token");

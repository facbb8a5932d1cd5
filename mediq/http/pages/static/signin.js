// Signs a user in: MediQ sets its cookie, and the browser goes to the page that the visitor wanted.
import { post } from "./api.js";
import { busy, mark } from "./ui.js";
import { t } from "./words.js";

const form = document.querySelector("form");
const told = document.querySelector("[role=alert]");
const [password, show] = [document.getElementById("password"), document.getElementById("show")];
const HOME = { ADMIN_FASKES: "/admin", OPERATOR: "/operator" };

form.addEventListener("submit", (event) => {
  event.preventDefault();
  mark(form);
  busy(document.getElementById("enter"), async () => {
    try {
      const { user } = await post("/session", Object.fromEntries(new FormData(form)), { stay: true });
      location.replace(wanted() || HOME[user.role] || "/");
    } catch (error) {
      mark(form, error.fields);
      if (error.status === 401) {
        password.value = "";
        password.focus();
      }
      throw error;
    }
  }, told);
});

show.addEventListener("click", () => {
  const shown = password.type === "password";
  password.type = shown ? "text" : "password";
  show.textContent = t(shown ? "signin.hide" : "signin.show");
});

/** The page that the visitor wanted, if it belongs to this site. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") || "";
  if (!/^\/(?!\/|signin)/.test(next) || next.includes("\\")) return "";
  return new URL(next, location.origin).origin === location.origin ? next : "";
}

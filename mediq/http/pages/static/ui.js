// Shared parts of the pages: toasts, questions, busy buttons, errors at fields.
import { t } from "./words.js";

const TOAST_MS = 6000;

/** Show a message. `action` ({ label, run }) adds a button, for example to undo. */
export function toast(words, { bad = false, action } = {}) {
  const shown = document.createElement("div");
  shown.className = bad ? "toast bad" : "toast";
  shown.setAttribute("role", bad ? "alert" : "status");
  shown.append(words);
  if (action) {
    const button = document.createElement("button");
    button.className = "button";
    button.type = "button";
    button.textContent = action.label;
    button.addEventListener("click", () => {
      shown.remove();
      action.run();
    });
    shown.append(button);
  }
  document.querySelector(".toasts").append(shown);
  setTimeout(() => shown.remove(), TOAST_MS);
}

/** Run `work` while `button` is busy. An error is shown in `told`, or as a toast. */
export async function busy(button, work, told) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  button.setAttribute("aria-busy", "true");
  if (told) told.textContent = "";
  try {
    return await work();
  } catch (error) {
    const words = error.name === "AbortError" ? "" : error.message;
    if (told) told.textContent = words;
    else if (words) toast(words, { bad: true });
    if (error.status === undefined && error.name !== "AbortError") throw error; // a defect of this page, for the console
    return undefined;
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** Show a problem's errors beside the fields of a form, in place of the errors before. */
export function mark(form, fields = {}) {
  for (const input of form.querySelectorAll("[name]")) {
    const wrong = input.closest(".field")?.querySelector(".wrong");
    const words = fields[input.name] || "";
    input.setAttribute("aria-invalid", String(Boolean(words)));
    if (wrong) wrong.textContent = words;
  }
  form.querySelector("[aria-invalid=true]")?.focus();
}

/** Ask before an act that cannot be undone. Resolves to true if the user confirms. */
export function confirmed(question, { yes = t("common.yes"), danger = true } = {}) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  const row = document.createElement("div");
  const [no, go] = [document.createElement("button"), document.createElement("button")];
  text.textContent = question;
  text.id = "question";
  dialog.setAttribute("aria-labelledby", "question");
  row.className = "row end";
  no.className = "button";
  no.textContent = t("common.cancel");
  go.className = danger ? "button danger" : "button primary";
  go.textContent = yes;
  row.append(no, go);
  dialog.append(text, row);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = (meant) => () => {
      dialog.remove();
      resolve(meant);
    };
    no.addEventListener("click", answer(false));
    go.addEventListener("click", answer(true));
    dialog.addEventListener("cancel", answer(false));
  });
}

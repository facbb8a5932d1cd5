// Pairs this device: the administrator's session in this browser ends, and the device's session begins.
import { post } from "./api.js";
import { busy, mark } from "./ui.js";

const form = document.querySelector("form");

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  mark(form);
  busy(form.querySelector("button"), async () => {
    try {
      await post("/devices", Object.fromEntries(new FormData(form)));
      location.reload();
    } catch (error) {
      mark(form, error.fields);
      throw error;
    }
  }, form.querySelector("[role=alert]"));
});

// The clinic's own page: what it offers and where, changed while it works.
import { get, put } from "./api.js";
import { at } from "./dom.js";
import { markPremises, Premises, premisesOf } from "./premises.js";
import { busy, toast } from "./ui.js";
import { t } from "./words.js";

const form = at("premises");
const told = document.querySelector("form > [role=alert]");
let edited = false;

get("/clinic").then((clinic) => {
  let { revision } = clinic;
  const premises = premisesOf(clinic);
  const forms = new Premises(premises, () => (edited = true));
  forms.about(at("about"));
  forms.services(at("services"));
  forms.counters(at("counters"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    markPremises(form);
    busy(form.querySelector(".primary"), async () => {
      try {
        ({ revision } = await put("/clinic", { ...premises, revision }));
      } catch (error) {
        markPremises(form, error.fields);
        throw error;
      }
      edited = false;
      toast(t("premises.saved"));
    }, told);
  });
}, (error) => (told.textContent = error.message));

addEventListener("beforeunload", (event) => edited && event.preventDefault());

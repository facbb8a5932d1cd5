// The page of the clinic's configuration, which may change while the clinic works.
import { get, post, put } from "./api.js";
import { ConfigurationForms, configurationOf, markConfiguration } from "./clinic-configuration.js";
import { at, dialog, field, h } from "./dom.js";
import { busy, mark, toast } from "./ui.js";
import { t } from "./words.js";

const form = at("configuration");
const told = document.querySelector("form > [role=alert]");
let edited = false;

get("/clinic").then((clinic) => {
  let { revision } = clinic;
  const configuration = configurationOf(clinic);
  const forms = new ConfigurationForms(configuration, () => (edited = true));
  forms.about(at("about"));
  forms.services(at("services"));
  forms.counters(at("counters"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    markConfiguration(form);
    busy(form.querySelector(".primary"), async () => {
      try {
        ({ revision } = await put("/clinic", { ...configuration, revision }));
      } catch (error) {
        markConfiguration(form, error.fields);
        throw error;
      }
      edited = false;
      toast(t("configuration.saved"));
    }, told);
  });
}, (error) => (told.textContent = error.message));

/** Ask for the reason to close the day early, which ends the tickets of all who still wait. */
function askToClose() {
  const problem = h("p", { class: "notice bad", role: "alert" });
  const why = h("input", { name: "why", required: true, maxlength: 200, autocomplete: "off" });
  const go = h("button", { class: "button danger" }, t("configuration.day_close"));
  const asked = h("form", { class: "stack" },
    h("p", {}, t("configuration.day_sure")),
    field(t("configuration.day_why"), why, { hint: t("configuration.day_why_hint") }),
    problem, h("div", { class: "row end" }, go));
  asked.addEventListener("submit", (event) => {
    event.preventDefault();
    mark(asked);
    busy(go, async () => {
      try {
        const { day, ended } = await post("/queue/close-day", { why: why.value });
        shown.close();
        toast(day ? t("configuration.day_closed", { count: ended }) : t("configuration.day_none"));
      } catch (error) {
        mark(asked, error.fields);
        throw error;
      }
    }, problem);
  });
  const shown = dialog(t("configuration.day"), {}, asked);
}

at("close-day").addEventListener("click", askToClose);
addEventListener("beforeunload", (event) => edited && event.preventDefault());

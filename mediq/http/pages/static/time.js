// The clinic's time, because the clock of a counter's computer is often wrong.
import { language, t } from "./words.js";

let ahead = 0;

/** Set the page's clock by the clinic's present time. */
export const setClock = (at) => (ahead = Date.parse(at) - Date.now());

export const now = () => Date.now() + ahead;

/** Whole minutes since a moment, 0 before it. */
export const minutesSince = (moment) => Math.max(0, Math.floor((now() - Date.parse(moment)) / 60_000));

/** A duration as a text. */
export function lasting(minutes) {
  if (minutes < 60) return t("operator.minutes", { count: minutes });
  return t("operator.hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

/** Hours and minutes on the clinic's clock. */
export const clock = (moment) =>
  new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone() })
    .format(new Date(moment))
    .replace(".", ":");

/** Day, hours and minutes on the clinic's clock. */
export const moment = (at) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone: zone() }).format(new Date(at));

const zone = () => document.documentElement.dataset.timezone || undefined;

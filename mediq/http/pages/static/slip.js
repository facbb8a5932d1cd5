// A ticket on paper: the page holds its text, the printer's own paper says how wide it is.
const part = (name) => document.querySelector(`[data-slip=${name}]`);

/** Write the slip of a ticket; with `qr` it carries the way to the ticket's own page. */
export function write({ number, service, at, token, qr }) {
  part("number").textContent = number;
  part("service").textContent = service;
  part("at").textContent = at;
  const picture = part("qr");
  for (const each of [picture, part("scan")]) each.hidden = !qr;
  if (qr) picture.src = `/t/${encodeURIComponent(token)}/qr.svg`;
  else picture.removeAttribute("src");
}

/** Print it, once its picture is there. */
export async function print() {
  const picture = part("qr");
  if (!picture.hidden) await picture.decode().catch(() => {});
  window.print();
}

// Prints a ticket. The page holds its text; the printer's paper gives the width.
const part = (name) => document.querySelector(`[data-slip=${name}]`);

/** Write the slip of a ticket. With `qr` it shows a QR code for the ticket's page. */
export function write({ number, service, at, token, qr }) {
  part("number").textContent = number;
  part("service").textContent = service;
  part("at").textContent = at;
  const picture = part("qr");
  for (const each of [picture, part("scan")]) each.hidden = !qr;
  if (qr) picture.src = `/t/${encodeURIComponent(token)}/qr.svg`;
  else picture.removeAttribute("src");
}

/** Print the slip once its picture is loaded. */
export async function print() {
  const picture = part("qr");
  if (!picture.hidden) await picture.decode().catch(() => {});
  window.print();
}

const form = document.querySelector("form");
const told = document.querySelector("[role=alert]");
// The token stands behind the # of the address, which browsers send to nobody and servers write into no log.
const token = location.hash.slice(1);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { nama, email, password, again } = Object.fromEntries(new FormData(form));
  if (password !== again) {
    told.textContent = "Kedua kata sandi tidak sama.";
    return;
  }
  form.querySelector("button").disabled = true;
  try {
    const response = await fetch("/auth/setup", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, nama, email, password }),
    });
    const answer = await response.json();
    told.textContent = response.ok
      ? "Administrator sudah dibuat. Halaman ini boleh ditutup."
      : [answer.detail, ...(answer.errors ?? []).map((e) => `${e.field}: ${e.message}`)].join(" ");
    form.hidden = response.ok;
    if (response.ok) history.replaceState(null, "", location.pathname);
  } catch {
    told.textContent = "Server tidak dapat dihubungi. Coba lagi.";
  } finally {
    form.querySelector("button").disabled = false;
  }
});

if (!token) told.textContent = "Buka halaman ini dengan tautan yang dicetak saat MediQ pertama kali dijalankan.";

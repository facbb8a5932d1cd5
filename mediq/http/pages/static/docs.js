// The description of the API: searches the operations and types, and opens the one that the address names.

const search = document.querySelector("#search");
const found = document.querySelector("#found");
const entries = [...document.querySelectorAll(".operation")];
const texts = new Map(entries.map((entry) => [entry, entry.dataset.find.toLowerCase()]));

function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const entry of entries) {
    entry.hidden = !words.every((word) => texts.get(entry).includes(word));
    if (!entry.hidden) count += 1;
  }
  for (const section of document.querySelectorAll(".tag, #types")) {
    section.hidden = !section.querySelector(".operation:not([hidden])");
  }
  found.textContent = words.length ? found.dataset.words.replace("{count}", count) : "";
}

function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.matches("details")) target.open = true;
  target.scrollIntoView();
}

search.closest(".search").hidden = false;
search.addEventListener("input", find);
window.addEventListener("hashchange", open);
open();

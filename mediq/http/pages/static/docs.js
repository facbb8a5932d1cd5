// The description of the API: find a call by its words, and open what an address points at.

const search = document.querySelector("#search");
const found = document.querySelector("#found");
const calls = [...document.querySelectorAll(".call")];
const texts = new Map(calls.map((call) => [call, call.dataset.find.toLowerCase()]));

function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const call of calls) {
    call.hidden = !words.every((word) => texts.get(call).includes(word));
    if (!call.hidden) count += 1;
  }
  for (const section of document.querySelectorAll(".tag, #types")) {
    section.hidden = !section.querySelector(".call:not([hidden])");
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

"use strict";

// Theme: the system's until the reader chooses; private windows may refuse to remember it.
const root = document.documentElement;
const themeButton = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return (root.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
}

function showTheme() {
  themeButton.setAttribute("aria-pressed", String(isDark()));
}

function recall() {
  try { return localStorage.getItem("gswarm-place-theme"); } catch { return null; }
}

function remember(theme) {
  try { localStorage.setItem("gswarm-place-theme", theme); } catch { /* not remembered */ }
}

const chosen = recall();
if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
showTheme();
systemDark.addEventListener("change", showTheme);
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember(root.dataset.theme);
  showTheme();
});

// Detail of a mark: its label, beside the pointer or the mark that has the focus.
const tip = document.getElementById("tip");

function showTip(mark, x, y) {
  tip.textContent = mark.getAttribute("aria-label");
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = x + 14 + box.width > innerWidth ? x - box.width - 14 : x + 14;
  const top = y + 14 + box.height > innerHeight ? y - box.height - 14 : y + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}

document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest?.(".mark");
  if (mark) showTip(mark, event.clientX, event.clientY);
  else tip.hidden = true;
});
document.addEventListener("focusin", (event) => {
  const mark = event.target.closest?.(".mark");
  if (!mark) { tip.hidden = true; return; }
  const box = mark.getBoundingClientRect();
  showTip(mark, box.left + box.width / 2, box.bottom - 8);
});
document.addEventListener("focusout", () => { tip.hidden = true; });

// A picture is one stop of the tab key; arrow keys move among its marks.
for (const picture of document.querySelectorAll("svg.picture")) {
  picture.querySelector(".mark")?.setAttribute("tabindex", "0");
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { tip.hidden = true; return; }
  const mark = event.target.closest?.(".mark");
  if (!mark) return;
  const marks = [...mark.closest("svg").querySelectorAll(".mark")];
  const at = marks.indexOf(mark);
  const target = {
    ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1,
    Home: 0, End: marks.length - 1,
  }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  const next = marks[Math.min(marks.length - 1, Math.max(0, target))];
  mark.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});

// The map: find servers by what they hold, light up one model.
function matches(text, words) {
  const padded = `${text} `;
  return words.every((word) => padded.includes(word));
}

// "server 1" must not find server 12, so a number after "server" is one word with its end.
function wordsOf(query) {
  return query.toLowerCase().match(/server \d+|\S+/g)?.map(
    (word) => (/^server \d+$/.test(word) ? `${word} ` : word)) ?? [];
}

for (const map of document.querySelectorAll("section.map")) {
  const field = map.querySelector("input");
  const count = map.querySelector("output");
  const cards = [...map.querySelectorAll(".card")];
  const rows = [...map.querySelectorAll("tbody tr")];
  field.addEventListener("input", () => {
    const words = wordsOf(field.value);
    for (const card of cards) card.hidden = !matches(card.dataset.search, words);
    for (const row of rows) row.hidden = !matches(row.dataset.search, words);
    const shown = cards.filter((card) => !card.hidden).length;
    count.textContent = shown
      ? `${shown} of ${cards.length} shown`
      : "nothing here is called that; a model by its name, a server as server 12";
  });
  const chips = [...map.querySelectorAll(".chips button")];
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      const on = chip.getAttribute("aria-pressed") !== "true";
      for (const each of chips) each.setAttribute("aria-pressed", String(on && each === chip));
      map.classList.toggle("lit", on);
      for (const mark of map.querySelectorAll(".mark[data-model]")) {
        mark.classList.toggle("on-model", on && mark.dataset.model === chip.dataset.model);
      }
    });
  }
}

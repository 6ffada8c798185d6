// On every page: keys, copying, the browser's time zone.
import "./keys.js";
import "./strip.js";

// [data-copy-text] is what a button copies; the buttons themselves are shown by this script alone.
for (const button of document.querySelectorAll("button[data-copy-text]")) {
  button.hidden = false;
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy-text]");
  if (!button) return;
  const text = button.dataset.copyText;
  try {
    await navigator.clipboard.writeText(text === "page" ? location.href : text);
  } catch {
    return;
  }
  const label = button.querySelector("[data-label]") ?? button;
  const before = label.textContent;
  if (before === document.body.dataset.copied) return;
  label.textContent = document.body.dataset.copied;
  button.setAttribute("aria-live", "polite");
  setTimeout(() => { label.textContent = before; }, 1500);
});

// A page that the browser kept is asked for again: by then nobody may be signed in.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  document.body.hidden = true;
  location.reload();
});

const zones = document.querySelector("select[data-browser-zone]");
if (zones) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const known = [...zones.options].find((option) => option.value === own);
  if (known) {
    known.textContent = `${own} (${zones.dataset.browserZone})`;
  } else if (own) {
    zones.add(new Option(`${own} (${zones.dataset.browserZone})`, own));
  }
}

// An open menu closes by Escape and by a click beside it.
const menu = document.querySelector("details.menu");
if (menu) {
  document.addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

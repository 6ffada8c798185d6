// For all pages: shortcuts, copy buttons, the browser's time zone.
import "./keys.js";
import "./strip.js";

// Buttons copy the value of [data-copy-text]. They are hidden without JavaScript.
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

// Reload a page from the back/forward cache, because the session may have ended.
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

// Close an open menu on Escape and on a click outside.
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

// Shortcuts are inactive while typing in a field, and with ctrl, alt or meta (WCAG 2.1.4).
const rows = () => [...document.querySelectorAll("[data-row]")];
const link = (row) => row.querySelector("a[href]");

const isTyping = (target) =>
  target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);

function move(by) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.findIndex((row) => row.classList.contains("current"));
  const next = all[at === -1 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
  all[at]?.classList.remove("current");
  next.classList.add("current");
  link(next)?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  switch (event.key) {
    case "/":
      document.getElementById("q")?.focus();
      document.getElementById("q")?.select();
      break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "?": document.getElementById("keys").showModal(); break;
    case "Enter": {
      if (event.target.closest("a, button, summary")) return;
      const current = document.querySelector("[data-row].current");
      if (!current) return;
      link(current)?.click();
      break;
    }
    default: return;
  }
  event.preventDefault();
});

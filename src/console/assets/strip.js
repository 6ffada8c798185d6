// Refreshes the health strip while the page is visible.
const PERIOD = 10_000;

async function refresh() {
  const strip = document.querySelector("[data-strip]");
  if (!strip || document.hidden) return;
  try {
    const answer = await fetch(strip.dataset.strip, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const made = document.createElement("template");
    made.innerHTML = await answer.text();
    const fresh = made.content.querySelector("[data-strip]");
    if (fresh && fresh.innerHTML !== strip.innerHTML) strip.innerHTML = fresh.innerHTML;
  } catch {
    // The server is unreachable. Keep the old state; the next refresh tries again.
  }
}

if (document.querySelector("[data-strip]")) {
  setInterval(refresh, PERIOD);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
}

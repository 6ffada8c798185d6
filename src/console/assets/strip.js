// Keeps the health strip fresh while somebody looks.
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
    // The server is away: what stands there is old, and the next try comes by itself.
  }
}

if (document.querySelector("[data-strip]")) {
  setInterval(refresh, PERIOD);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
}

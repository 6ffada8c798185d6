// The page of a verification: it grows while it is open, and hides a number that was shown.
const page = document.querySelector("[data-case]");
const piece = (name) => page.querySelector(`[data-piece="${name}"]`);

const showCopyButtons = (root) => {
  for (const button of root.querySelectorAll("button[data-copy-text]")) button.hidden = false;
};

// Only what differs is replaced, so that nothing is read aloud twice and no selection is lost.
function replace(name, html) {
  const place = piece(name);
  const made = document.createElement("template");
  made.innerHTML = html;
  showCopyButtons(made.content);
  const holder = document.createElement("div");
  holder.append(made.content.cloneNode(true));
  if (!place || place.innerHTML === holder.innerHTML) return;
  const open = [...place.querySelectorAll("details")].map((details) => details.open);
  place.replaceChildren(made.content);
  [...place.querySelectorAll("details")].forEach((details, at) => { details.open = open[at] ?? false; });
}

// Whoever is typing a reason is left alone.
function replaceActions(html) {
  const place = piece("actions");
  const isBusy = place.contains(document.activeElement) || [...place.querySelectorAll("input[name=reason]")].some((field) => field.value);
  if (!isBusy) replace("actions", html);
}

function append(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  const rows = [...made.content.querySelectorAll("tr")].filter((row) => !document.getElementById(row.id));
  if (rows.length === 0) return;
  for (const row of rows) row.classList.add("fresh");
  piece("rows").append(...rows);
  page.querySelector("[data-news]").textContent = rows.map((row) => row.querySelector("[data-sentence]").textContent).join(" ");
}

function follow() {
  const state = page.querySelector("[data-live-state]");
  const word = page.querySelector("[data-live-word]");
  const control = page.querySelector("[data-live-switch]");
  let known = page.dataset.version;
  let source = null;

  const show = (name) => {
    state.hidden = false;
    state.className = `live ${name}`;
    word.textContent = word.dataset[name];
    control.textContent = name === "on" ? control.dataset.pause : control.dataset.resume;
  };
  const stop = () => { source?.close(); source = null; };
  const start = () => {
    stop();
    source = new EventSource(`${page.dataset.case}/live?since=${known}`);
    source.addEventListener("open", () => show("on"));
    source.addEventListener("update", (event) => {
      const update = JSON.parse(event.data);
      known = event.lastEventId;
      append(update.rows);
      replace("verdict", update.verdict);
      replace("bar", update.bar);
      replace("facts", update.facts);
      replaceActions(update.actions);
    });
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) show("lost");
    });
  };
  control.addEventListener("click", () => {
    if (source && source.readyState !== EventSource.CLOSED) {
      stop();
      show("off");
    } else {
      start();
    }
  });
  // Of a page that is kept for going back, the connection is not.
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) start(); });
  start();
}

// A number in full closes itself, also where one goes back to the page.
function closeRevealed() {
  const hidden = () => location.replace(page.dataset.case);
  const end = Date.now() + Number(page.dataset.revealed) * 1000;
  const countdown = page.querySelector("[data-countdown]");
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left <= 0) return hidden();
    countdown.textContent = `(${left} s)`;
    setTimeout(tick, 500);
  };
  addEventListener("pageshow", (event) => { if (event.persisted) hidden(); });
  addEventListener("pagehide", () => {
    for (const number of page.querySelectorAll(".phone")) number.textContent = "";
  });
  tick();
}

if (page) {
  const print = page.querySelector("[data-print]");
  print.hidden = false;
  print.addEventListener("click", () => window.print());
  if ("live" in page.dataset) follow();
  if ("revealed" in page.dataset) closeRevealed();
  // The note that something was done is said once.
  if (location.search === "?done") history.replaceState(null, "", location.pathname);
}

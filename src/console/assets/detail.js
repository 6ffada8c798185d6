// The page of a verification: live updates, and hiding a revealed number.
const page = document.querySelector("[data-detail]");
const part = (name) => page.querySelector(`[data-part="${name}"]`);

const showCopyButtons = (root) => {
  for (const button of root.querySelectorAll("button[data-copy-text]")) button.hidden = false;
};

// Replaces only changed content, so that screen readers do not repeat it and selections survive.
function replace(name, html) {
  const place = part(name);
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

// Does not replace a form in which a reason is being typed.
function replaceActions(html) {
  const place = part("actions");
  const isBusy = place.contains(document.activeElement) || [...place.querySelectorAll("input[name=reason]")].some((field) => field.value);
  if (!isBusy) replace("actions", html);
}

function append(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  const rows = [...made.content.querySelectorAll("tr")].filter((row) => !document.getElementById(row.id));
  if (rows.length === 0) return;
  for (const row of rows) row.classList.add("fresh");
  part("rows").append(...rows);
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
    source = new EventSource(`${page.dataset.detail}/live?since=${known}`);
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
  // Pages in the back/forward cache have no connection.
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) start(); });
  start();
}

// Hides a revealed number after some time, and when the page is restored from the back/forward cache.
function closeRevealed() {
  const hidden = () => location.replace(page.dataset.detail);
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
  // Show the success note only once.
  if (location.search === "?done") history.replaceState(null, "", location.pathname);
}

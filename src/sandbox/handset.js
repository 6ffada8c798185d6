"use strict";

const find = (id) => document.getElementById(id);
const state = { handsets: [], chosen: null, pinned: false, about: null, drawn: null, seen: new Set() };

/** A new element with a class and children; strings become text, never markup. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** An icon; `path` is a constant, never data. */
function icon(path, width = 18) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 16");
  svg.setAttribute("width", String(width));
  svg.setAttribute("height", String((width * 16) / 24));
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  for (const [name, value] of [["fill", "none"], ["stroke", "currentColor"], ["stroke-width", "2"], ["stroke-linecap", "round"], ["stroke-linejoin", "round"]]) {
    line.setAttribute(name, value);
  }
  svg.append(line);
  return svg;
}

const ICONS = {
  taken: "M4 8h14M13 3l5 5-5 5",
  tick: "M6 8.5 10.5 13 19 4",
  ticks: "M1.5 8.5 6 13 14.5 4M10.5 12l1 1L20.5 4",
  cross: "M7 3l10 10M17 3 7 13",
  warn: "M12 2v7M12 13v.1",
  copy: "M9 5V2h9v9h-3M6 5h9v9H6z",
  done: "M6 8.5 10.5 13 19 4",
};

const HAPPENINGS = {
  accepted: ["took the message", "taken", ""],
  accepted_unheard: ["took the message, but its answer broke off", "warn", "warn"],
  refused: ["refused it: 131026, undeliverable", "cross", "bad"],
  unavailable: ["answered 500: 131016, service unavailable", "warn", "warn"],
  sent: ["reported sent", "tick", ""],
  delivered: ["reported delivered", "ticks", "good"],
  read: ["reported read", "ticks", "read"],
  failed: ["reported failed", "cross", "bad"],
  disowned: ["passed on \u201cI didn\u2019t request a code\u201d", "warn", "warn"],
  report_not_taken: ["got no 200 for a report and gave up", "cross", "bad"],
};

/** +1 202 555 0100 for the numbers of the table, the digits in threes for others. */
function spaced(number) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  if (parts) return `+1 ${parts[1]} ${parts[2]} ${parts[3]}`;
  return number.slice(0, 3) + " " + number.slice(3).replace(/(\d{3})(?=\d{2})/g, "$1 ");
}

const clock = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = (at) => (at ? new Date(at) : new Date()).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
const exact = (at) => `${new Date(at).toLocaleTimeString("en-GB")}.${at.slice(20, 23)}`;

async function fetchJson(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function copy(text, button, label) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is no clipboard API; the old one needs a field.
    const field = make("textarea", "unseen");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const before = [...button.childNodes];
  button.replaceChildren(label);
  setTimeout(() => button.replaceChildren(...before), 1400);
}

function drawList() {
  find("handsets").replaceChildren(...state.handsets.map((handset) => {
    const count = make("span", "c", String(handset.messages));
    count.title = handset.messages === 1 ? "1 message" : `${handset.messages} messages`;
    if (!handset.messages) count.dataset.none = "";
    const button = make("button", "", make("span", "n", spaced(handset.number)), make("span", "t", clock(handset.at)),
      make("span", "p", handset.plays), count);
    button.type = "button";
    button.setAttribute("aria-current", String(handset.number === state.chosen));
    button.addEventListener("click", () => {
      state.pinned = true;
      choose(handset.number);
    });
    return make("li", "", button);
  }));
  const none = state.handsets.length === 0;
  find("no-handsets").hidden = !none;
  find("clear").hidden = none;
  find("welcome").hidden = !none;
  find("stage").hidden = none;
}

function isNew(entry) {
  const key = `${state.chosen} ${entry.channel} ${entry.at}`;
  const fresh = !state.seen.has(key);
  state.seen.add(key);
  return fresh;
}

/** `*bold*` as WhatsApp writes it. */
function formatted(text) {
  return text.split(/\*([^*\n]+)\*/).map((part, n) => (n % 2 ? make("strong", "", part) : part));
}

function whatsappBubble(entry) {
  const bubble = make("article", "bubble", make("p", "text", ...formatted(entry.text)),
    make("p", "small", make("span", "", "This code expires in 10 minutes."), make("time", "", clock(entry.at))));
  const button = make("button", "copy", icon(ICONS.copy), "Copy code");
  button.type = "button";
  button.addEventListener("click", () => copy(entry.code ?? "", button, "Copied"));
  bubble.append(button);
  return bubble;
}

function smsBubble(entry) {
  const parts = [make("article", "bubble", entry.text)];
  if (entry.code) {
    const button = make("button", "fill", `Copy ${entry.code}`);
    button.type = "button";
    button.addEventListener("click", () => copy(entry.code, button, "Copied"));
    parts.push(button);
  }
  parts.push(make("span", "stamp", clock(entry.at)));
  return parts;
}

function drawPhones(entries, activity, animate) {
  const whatsapp = [make("p", "day", day(activity[0]?.at)),
    make("p", "secure", "Messages in this chat stay on this machine. It only looks like WhatsApp.")];
  const sms = [];
  for (const entry of entries) {
    const fresh = isNew(entry) && animate;
    if (entry.channel === "whatsapp") {
      const bubble = whatsappBubble(entry);
      if (fresh) bubble.classList.add("new");
      whatsapp.push(bubble);
    } else {
      if (!sms.length) sms.push(make("p", "day", `Text message \u00b7 ${clock(entry.at)}`));
      const parts = smsBubble(entry);
      if (fresh) parts.forEach((part) => part.classList.add("new"));
      sms.push(...parts);
    }
    if (fresh) find("say").textContent = `New ${entry.channel === "sms" ? "SMS" : "WhatsApp message"} for ${state.chosen}`;
  }
  const disowned = activity.some((line) => line.what === "disowned");
  if (disowned) whatsapp.push(make("article", "bubble mine", make("p", "text", "I didn\u2019t request a code")));
  if (whatsapp.length === 2) whatsapp.push(make("p", "quietly", waiting(activity, "whatsapp", "Nothing has arrived on WhatsApp.")));
  if (!sms.length) sms.push(make("p", "quietly", waiting(activity, "sms", "No SMS. None was needed so far.")));
  for (const [id, parts] of [["whatsapp", whatsapp], ["sms", sms]]) {
    const screen = find(id);
    screen.replaceChildren(...parts);
    screen.scrollTop = screen.scrollHeight;
  }
}

/** Why a screen is empty, from the last thing that happened on its network. */
function waiting(activity, channel, otherwise) {
  const last = activity.filter((line) => line.channel === channel).at(-1)?.what;
  if (last === "refused" || last === "failed") return "This message could not be delivered, so this phone never saw it.";
  if (last === "unavailable") return "The provider has an outage. Nothing has been sent yet.";
  if (last) return "A message was sent to this phone. It has not arrived.";
  return otherwise;
}

function drawActivity(activity) {
  find("activity").replaceChildren(...activity.map((line) => {
    const [words, drawing, tone] = HAPPENINGS[line.what] ?? [line.what, "taken", ""];
    const mark = make("span", "mark", icon(ICONS[drawing], 20));
    mark.dataset.tone = tone;
    const name = line.channel === "sms" ? "The carrier" : "WhatsApp";
    const time = make("time", "", exact(line.at));
    time.dateTime = line.at;
    return make("li", "", mark, make("span", "what", make("b", "", name), ` ${words}`), time);
  }));
}

async function drawStage() {
  const handset = state.handsets.find((candidate) => candidate.number === state.chosen);
  if (!handset) return;
  const digits = handset.number.slice(1);
  const [entries, activity] = await Promise.all([fetchJson(`/handsets/${digits}`), fetchJson(`/handsets/${digits}/activity`)]);
  if (handset.number !== state.chosen) return;
  const animate = state.drawn === handset.number;
  state.drawn = handset.number;
  find("number").textContent = spaced(handset.number);
  find("plays").textContent = `Plays: ${handset.plays}`;
  find("ends").textContent = handset.ends;
  find("sms-from").textContent = handset.sms_from ?? "Messages";
  find("sms-initial").textContent = (handset.sms_from ?? "#").slice(0, 1).toUpperCase();
  const now = activity.at(-1)?.at ?? handset.at;
  for (const time of document.querySelectorAll(".clock")) time.textContent = clock(now);
  drawPhones(entries, activity, animate);
  drawActivity(activity);
}

function choose(number) {
  state.chosen = number;
  if (number) history.replaceState(null, "", `#${number}`);
  drawList();
  drawStage().catch(lost);
}

async function refresh() {
  state.handsets = await fetchJson("/handsets");
  const known = state.handsets.some((handset) => handset.number === state.chosen);
  if (!known) state.pinned = false;
  if (!state.pinned) state.chosen = state.handsets[0]?.number ?? null;
  drawList();
  await drawStage();
}

/** Many changes in a moment are one look. */
let pending = null;
function soon() {
  pending ??= setTimeout(() => {
    pending = null;
    refresh().catch(lost);
  }, 60);
}

function lost() {
  find("live").dataset.state = "lost";
  find("live-text").textContent = "sandbox not reachable";
}

function drawCommand(number) {
  find("curl").textContent = `curl ${state.about.api}/v1/verifications \\\n  -H "Authorization: Bearer $TWOTICK_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '{"to": "${number}"}'`;
  for (const button of find("scenarios").children) button.setAttribute("aria-pressed", String(button.value === number));
}

async function introduce() {
  state.about = await fetchJson("/about");
  find("scenarios").replaceChildren(...state.about.scenarios.map((scenario) => {
    const shown = spaced(scenario.number);
    const button = make("button", "", make("span", "n", shown.slice(0, -2), make("b", "", shown.slice(-2))),
      make("span", "p", scenario.plays), make("span", "e", `\u2192 ${scenario.ends}`));
    button.type = "button";
    button.value = scenario.number;
    button.addEventListener("click", () => drawCommand(scenario.number));
    return button;
  }));
  drawCommand(state.about.scenarios[0].number);
}

find("copy-curl").addEventListener("click", (event) => copy(find("curl").textContent, event.currentTarget, "Copied"));
find("clear").addEventListener("click", () => fetch("/handsets", { method: "DELETE" }).catch(lost));

if (/^#\+\d{7,15}$/.test(location.hash)) {
  state.chosen = location.hash.slice(1);
  state.pinned = true;
}
introduce().catch(lost);
const events = new EventSource("/events");
events.addEventListener("open", () => {
  find("live").dataset.state = "live";
  find("live-text").textContent = "live";
  soon();
});
events.addEventListener("change", soon);
events.addEventListener("error", lost);

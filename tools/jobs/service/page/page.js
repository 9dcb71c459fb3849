/** The page of the service: asks for clips, and shows the queue and what has been made. */
import { TEXTS } from "./texts.js";

const AT_ONCE = 24, EVERY = 1500;
const at = (id) => document.getElementById(id);
const shown = new Map(); // cards by clip id
let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
let token = sessionStorage.getItem("token") ?? "";
let limit = AT_ONCE;
let refreshed = 0; // only the answer to the latest question is shown

const text = (name, ...values) => {
  const found = TEXTS[language][name];
  return typeof found === "function" ? found(...values) : found;
};

async function call(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error(text("away"));
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Error(text("unauthorized"));
  if (answer.status === 503 && answer.headers.has("Retry-After")) throw new Error(text("full", answer.headers.get("Retry-After")));
  const { detail = answer.statusText } = await answer.json().catch(() => ({}));
  throw new Error(Array.isArray(detail) ? detail.join("\n") : detail);
}

function say(problem) {
  at("problem").textContent = problem ?? "";
  at("problem").hidden = !problem;
}

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

/** A card: its picture, its words, and buttons. Kept for as long as its clip is, so that what plays goes on. */
function newCard(clip) {
  const card = { picture: element("div", { className: "picture" }), words: element("p"), how: element("small"), state: null, url: null };
  card.remove = element("button", { type: "button", onclick: () => remove(clip) });
  card.save = element("a", { download: clip.file, hidden: true });
  card.top = element("li", { className: "clip" }, card.picture,
    element("div", { className: "about" }, element("div", {}, card.words, card.how), card.save, card.remove));
  card.top.dataset.id = clip.id;
  return card;
}

function drawCard(card, clip) {
  const what = clip.state === "made" ? text("took", Math.round(clip.seconds * 10) / 10)
    : clip.state === "waiting" ? text("waiting", clip.before) : text(clip.state);
  card.words.textContent = card.words.title = clip.prompt || clip.name;
  card.how.textContent = what;
  card.remove.textContent = text("remove");
  card.save.textContent = text("save");
  if (clip.state === "failed") card.picture.textContent = clip.error;
  if (clip.state === "waiting") card.picture.textContent = clip.before + 1;
  if (card.state === clip.state) return;
  card.state = clip.state;
  card.top.className = `clip ${clip.state}`;
  if (clip.state === "making") card.picture.replaceChildren();
  if (clip.state === "made") play(card, clip);
}

/** The file is fetched with the token, which an address in a page cannot carry. */
async function play(card, clip) {
  try {
    const file = await (await call(`v1/clips/${clip.id}/file`)).blob();
    if (shown.get(clip.id) !== card) return;
    card.url = URL.createObjectURL(file);
    const still = file.type.startsWith("image/");
    const player = still ? element("img", { alt: clip.prompt })
      : element("video", { muted: true, loop: true, autoplay: true, controls: true, playsInline: true });
    player.src = card.url;
    card.picture.replaceChildren(player);
    Object.assign(card.save, { href: card.url, hidden: false });
  } catch {
    card.picture.textContent = text("gone");
    card.state = null;
  }
}

function drop(id) {
  const card = shown.get(id);
  card.top.remove();
  if (card.url) URL.revokeObjectURL(card.url);
  shown.delete(id);
}

async function remove(clip) {
  if (!confirm(text("sure", clip.name))) return;
  await call(`v1/clips/${clip.id}`, { method: "DELETE" }).then(() => say(), (problem) => say(problem.message));
  await refresh();
}

async function refresh() {
  const mine = ++refreshed;
  let list;
  try {
    list = await (await call(`v1/clips?limit=${limit}`)).json();
  } catch (problem) {
    if (mine === refreshed) {
      say(problem.message);
      at("problem").dataset.from = "refresh";
    }
    return;
  }
  if (mine !== refreshed) return;
  if (at("problem").dataset.from === "refresh") say();
  delete at("problem").dataset.from;
  const there = new Set(list.clips.map((clip) => clip.id));
  for (const id of [...shown.keys()]) if (!there.has(id)) drop(id);
  list.clips.forEach((clip, index) => {
    if (!shown.has(clip.id)) shown.set(clip.id, newCard(clip));
    const card = shown.get(clip.id);
    if (at("clips").children[index] !== card.top) at("clips").insertBefore(card.top, at("clips").children[index] ?? null);
    drawCard(card, clip);
  });
  at("counts").textContent = text("counts", list.counts);
  at("empty").hidden = list.clips.length > 0;
  at("older").hidden = !list.after || limit >= 500;
}

async function ask(event) {
  event.preventDefault();
  const fields = at("ask").elements, form = new FormData();
  if (fields.prompt.value.trim()) form.append("prompt", fields.prompt.value.trim());
  for (const file of fields.images.files) form.append("images", file);
  for (const [, key, value] of fields.more.value.matchAll(/(\w+)\s*=\s*("[^"]*"|\S+)/g)) {
    form.append(key, value.replace(/^"|"$/g, ""));
  }
  try {
    await call("v1/clips", { method: "POST", body: form });
    say();
  } catch (problem) {
    say(problem.message);
  }
  await refresh();
}

function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = text("title");
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = text(each.dataset.text);
  at("language").textContent = text("language");
}

at("ask").addEventListener("submit", ask);
at("older").addEventListener("click", () => { limit = Math.min(500, limit + AT_ONCE); refresh(); });
at("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  translate();
  refresh();
});
at("token").value = token;
at("token").addEventListener("input", () => {
  token = at("token").value.trim();
  sessionStorage.setItem("token", token);
  refresh();
});
translate();
refresh();
setInterval(() => document.hidden || refresh(), EVERY);

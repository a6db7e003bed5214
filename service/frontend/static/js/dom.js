// Elements out of words. Text is always text: nothing here, or anywhere on this page, parses markup.

const SVG = "http://www.w3.org/2000/svg";

// h("p", { class: "soft", onclick: go }, "Hello, ", name): true sets an attribute, false, null and undefined leave it out.
export function h(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

// A screen reader speaks whenever the text of a live region is set, so it is set only when it says something new.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let numbers = 0;
export const unique = (word) => `${word}-${(numbers += 1)}`;

export function time(text) {
  if (!text) return "–";
  const when = new Date(text);
  return h("time", { datetime: text, title: when.toLocaleString() }, ago(when));
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function ago(when, now = Date.now()) {
  const seconds = (when - now) / 1000;
  if (Math.abs(seconds) > 30 * 86_400) return when.toLocaleDateString("en", { dateStyle: "medium" });
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return words.format(Math.round(seconds / size), unit);
  }
  return "just now";
}

export function copyable(text, what) {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange(); // the clipboard is refused: what is selected can be copied by hand
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2000);
  });
  const code = h("code", {}, text);
  return h("span", { class: "copyable" }, code, button);
}

const TONES = {
  up: "good",
  ok: "good",
  done: "good",
  active: "good",
  published: "good",
  running: "busy",
  queued: "calm",
  draft: "calm",
  archived: "calm",
  cancelled: "calm",
  down: "bad",
  away: "bad",
  dead: "bad",
  suspended: "bad",
  degraded: "warn",
  unknown: "calm",
};

// A word with a tone. The word says it; the colour only repeats it.
export function pill(word) {
  return h("span", { class: "pill", "data-tone": TONES[word] ?? "calm" }, word);
}

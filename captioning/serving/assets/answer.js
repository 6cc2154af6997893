// The answer: a caption word by word with probabilities, and other captions that the captioner considered.
import { showLook } from "./photo.js";

const at = (id) => document.getElementById(id);
const percent = (share) => `${share > 0 && share < 0.01 ? "under 1" : Math.round(100 * share)} %`;
let pinned = null; // the word that stays chosen after the mouse has left it

export function showAnswer(answer) {
  const seconds = answer.milliseconds / 1000;
  at("facts").textContent = `Read and captioned in ${seconds < 1 ? `${answer.milliseconds} ms` : `${seconds.toFixed(1)} s`}.`;
  at("others").hidden = answer.beams.length < 2;
  at("beams").replaceChildren(...weighed(answer).map((row) => element("li", {}, row)));
  showBeam(answer, answer.beams[0]);
}

function showBeam(answer, beam) {
  pinned = null;
  const words = beam.words.map((word) => wordButton(word, answer.grid));
  if (beam.end !== null) words.push(wordButton({ word: "end", probability: beam.end, look: null }, null, "word end"));
  at("words").replaceChildren(...words);
  choose(null, answer.grid !== null);
  at("sure").hidden = beam.confidence === null;
  if (beam.confidence !== null) {
    at("confidence").setAttribute("aria-valuenow", Math.round(100 * beam.confidence));
    at("confidence").firstChild.style.width = `${100 * beam.confidence}%`;
    at("percent").textContent = percent(beam.confidence) + (answer.unsure && beam === answer.beams[0] ? ": not sure" : "");
  }
  for (const item of at("beams").children) item.hidden = item.firstChild.beam === beam; // the list has the others
}

// Rows of the beams. The bar compares the exponential of a score with that of the best one.
function weighed(answer) {
  const best = Math.max(...answer.beams.map((beam) => beam.score));
  return answer.beams.map((beam) => {
    const share = Math.exp(beam.score - best);
    const bar = element("div", { className: "weight" }, element("div"));
    bar.firstChild.style.width = `${100 * share}%`;
    const said = element("span", { textContent: beam.caption + (beam.ended ? "" : " …") });
    const score = element("span", { className: "number", textContent: `score ${beam.score.toFixed(2).replace("-", "−")}` });
    const row = element("button", { type: "button", className: "beam", beam }, said, score, bar);
    row.addEventListener("click", () => {
      showBeam(answer, beam);
      at("beams").querySelector("li:not([hidden]) button").focus(); // the clicked row, now hidden, had the focus
    });
    return row;
  });
}

function wordButton(said, grid, className = "word") {
  const { word: text, probability } = said;
  const fill = element("span", { className: "fill" });
  fill.style.width = `${100 * probability}%`;
  const track = element("span", { className: "track" }, fill);
  const word = element("button", { type: "button", className, said, grid }, text, track);
  word.setAttribute("aria-label", `${className === "word" ? text : "the end"}, ${percent(probability)}`);
  word.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && choose(word));
  word.addEventListener("pointerleave", () => choose(pinned));
  word.addEventListener("focus", () => choose(word));
  word.addEventListener("blur", () => choose(pinned));
  word.addEventListener("click", () => choose((pinned = pinned === word ? null : word)));
  return word;
}

at("words").addEventListener("keydown", (event) => {
  if (event.key === "Escape") choose((pinned = null));
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) {
    const words = [...at("words").children];
    words[words.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  }
});

let sees = false; // whether this captioner has attention

// Show the probability of a word and its attention; null shows a hint.
function choose(word, looks = sees) {
  sees = looks;
  for (const each of at("words").children) each.classList.toggle("chosen", each === word);
  const { look, most, where, probability } = word?.said ?? { look: null };
  showLook(look, word?.grid ?? null, most);
  if (word === null) {
    const what = sees ? "how sure the captioner was of it, and where it looked" : "how sure the captioner was of it";
    at("readout").textContent = `Choose a word to see ${what}.`;
    return;
  }
  const name = word.classList.contains("end") ? "ending here" : word.firstChild.textContent;
  const looking = look ? `, looking at the ${where}` : "";
  at("readout").replaceChildren(element("b", { textContent: name }), ` had a probability of ${percent(probability)}${looking}.`);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

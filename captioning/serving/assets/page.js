// The page: which of its four states is shown, and what leads from one to another.
import { givenPhotos } from "./giving.js";
import { ask, facts } from "./asking.js";
import { showAnswer } from "./answer.js";
import { showPhoto } from "./photo.js";

const at = (id) => document.getElementById(id);
const NO_LIMIT = { most_bytes: Infinity, captioner: "" };
let known = NO_LIMIT;
let last = null; // the photo that was given last
let asking = null; // what can still be called off

function show(state, told) {
  document.body.dataset.state = state;
  at("busy").setAttribute("aria-hidden", String(state !== "busy"));
  at("status").textContent = told;
}

// again: whether it may help to try the same photo once more
function fail(why, again = false) {
  at("why").textContent = sentence(why);
  at("again").hidden = !again;
  show("failure", "");
}

// "not a photo" becomes "Not a photo."
function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : begun + ".";
}

const megabytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MB`;

async function caption(file) {
  asking?.abort();
  const mine = (asking = new AbortController());
  last = file;
  showPhoto(file);
  if (file.size > known.most_bytes) {
    fail(`The photo has ${megabytes(file.size)}; up to ${megabytes(known.most_bytes)} are taken: make it smaller`);
    return;
  }
  show("busy", "Looking at the photo");
  try {
    const answer = await ask(file, mine.signal);
    showAnswer(answer);
    show("answer", `The captioner says: ${answer.caption || "nothing"}`);
  } catch (error) {
    if (!mine.signal.aborted) fail(error.message, error.passing);
  }
}

function begin() {
  asking?.abort();
  last = null;
  showPhoto(null);
  show("empty", "");
  at("choose").focus();
}

at("another").addEventListener("click", begin);
at("cancel").addEventListener("click", begin);
at("again").addEventListener("click", () => last && caption(last));
at("other").addEventListener("click", () => at("file").click());
givenPhotos(caption, (why) => last === null && fail(why)); // an answer that is there stays
show("empty", "");
facts().then(
  (found) => {
    known = found;
    at("captioner").textContent = found.captioner;
    at("most").textContent = `, up to ${megabytes(found.most_bytes)}`;
  },
  (error) => fail(error.message),
).finally(() => document.body.classList.add("ready"));

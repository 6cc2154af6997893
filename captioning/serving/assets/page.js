// The page: its four states (empty, busy, answer, failure), how a photo gets here, and the requests to the server.
import { showAnswer } from "./answer.js";
import { showPhoto } from "./photo.js";

const at = (id) => document.getElementById(id);
const TRIES = 20; // while the server is busy
let server = { most_bytes: Infinity, captioner: "" };
let photo = null; // the last one
let request = null; // an AbortController for the request under way
const waiting = []; // photos that came while another one was captioned

function show(state, status) {
  document.body.dataset.state = state;
  at("busy").setAttribute("aria-hidden", String(state !== "busy"));
  at("status").textContent = status;
  showWaiting();
}

function showWaiting() {
  const count = waiting.length;
  at("waiting").textContent = count ? `${count} more photo${count > 1 ? "s are" : " is"} waiting.` : "";
  at("another").textContent = count ? `Next photo (${count} waiting)` : "Another photo";
  at("cancel").textContent = count ? "Skip this photo" : "Cancel";
}

// Photos that come while another one is captioned wait until the user goes on to them.
function give(files) {
  const free = document.body.dataset.state !== "busy" && waiting.length === 0;
  waiting.push(...files);
  if (free) next();
  else showWaiting();
}

function next() {
  if (waiting.length) caption(waiting.shift());
  else reset();
}

// retry: whether the same photo may work later
function fail(message, retry = false) {
  at("why").textContent = sentence(message);
  at("again").hidden = !retry;
  show("failure", "");
}

// "not a photo" becomes "Not a photo."
function sentence(text) {
  const capitalised = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capitalised) ? capitalised : capitalised + ".";
}

const megabytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MB`;

async function caption(file) {
  request?.abort();
  const { signal } = (request = new AbortController());
  photo = file;
  showPhoto(file);
  if (file.size > server.most_bytes) {
    fail(`The photo has ${megabytes(file.size)}, more than ${megabytes(server.most_bytes)}: make it smaller`);
    return;
  }
  show("busy", "Looking at the photo");
  try {
    const answer = await ask(file, signal);
    showAnswer(answer);
    show("answer", `The captioner says: ${answer.caption || "nothing"}`);
  } catch (error) {
    if (!signal.aborted) fail(error.message, error.retry);
  }
}

function reset() {
  request?.abort();
  photo = null;
  showPhoto(null);
  show("empty", "");
  at("choose").focus();
}

// Requests. They fail with an Error whose message is for people; `retry` says whether it may work later.

async function ask(file, signal) {
  for (let tries = 1; ; tries++) {
    const response = await send("/caption", { method: "POST", body: file, signal });
    if (response.status !== 503 || tries === TRIES) return read(response);
    await pause(1000 * Number(response.headers.get("Retry-After") || 1), signal);
  }
}

async function send(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw failure("The server does not answer: is captioning serve still running?", true);
  }
}

async function read(response) {
  let content = {};
  try {
    content = await response.json();
  } catch {
    // not JSON: the status has to do
  }
  const retry = response.status >= 500 || response.status === 408;
  if (!response.ok) throw failure(content.error ?? `The server answers with status ${response.status}`, retry);
  return content;
}

const failure = (message, retry) => Object.assign(new Error(message), { retry });

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

// Ways to give a photo: choose it, take it with a camera, paste it or drop it.

for (const [button, input] of [["choose", "file"], ["take", "camera"]]) {
  at(button).addEventListener("click", (event) => {
    event.stopPropagation(); // a click on the field around it does the same
    at(input).click();
  });
  at(input).addEventListener("change", () => {
    const file = at(input).files[0];
    at(input).value = ""; // so that the same photo can be chosen again
    if (file) caption(file);
  });
}
at("choice").addEventListener("click", () => at("file").click());

function take(data, message) {
  const files = [...(data?.files ?? [])];
  if (files.length) give(files);
  else if (photo === null) fail(message); // an answer on the page stays
}
const hover = (on) => document.body.classList.toggle("over", on);
document.addEventListener("paste", (event) => {
  take(event.clipboardData, "The clipboard has no photo: copy the picture itself or its file");
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  hover(true);
});
document.addEventListener("dragleave", (event) => event.relatedTarget === null && hover(false));
document.addEventListener("drop", (event) => {
  event.preventDefault(); // otherwise the browser leaves the page for the photo
  hover(false);
  take(event.dataTransfer, "This is not a file: save the picture first, then drop the file");
});

at("another").addEventListener("click", next);
at("cancel").addEventListener("click", next);
at("again").addEventListener("click", () => photo && caption(photo));
at("other").addEventListener("click", () => at("file").click());
show("empty", "");
send("/health", {}).then(read).then(
  (health) => {
    server = health;
    at("captioner").textContent = health.captioner;
    at("most").textContent = `, up to ${megabytes(health.most_bytes)}`;
  },
  (error) => fail(error.message),
).finally(() => document.body.classList.add("ready"));

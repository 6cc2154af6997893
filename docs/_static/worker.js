// The worker of a page: loads Pyodide and packages, and calls functions of session.py.
"use strict";
let python = null, current = 0, printed = 0, loaded = 0, reported = 0;

const LIMIT = 32768; // pages of 64 KiB: a program that needs more than 2 GiB gets a MemoryError
const {Memory, instantiateStreaming} = WebAssembly;
WebAssembly.Memory = function (sizes) { return new Memory({...sizes, maximum: Math.min(sizes.maximum ?? LIMIT, LIMIT)}); };

// Fetch with two more attempts, and count bytes. After the first visit the .wasm file stays uncounted, because browsers
// keep its compiled code only for an unchanged response.
const originalFetch = self.fetch;
async function fetchAgain(first, ...request) {
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await originalFetch(...request);
      if (!response.ok) throw new Error(`${response.url} could not be loaded (${response.status})`);
      if (!response.body || (!first && response.url.endsWith(".wasm"))) return response;
      const meter = new TransformStream({transform(chunk, out) { count(chunk.length); out.enqueue(chunk); }});
      return new Response(response.body.pipeThrough(meter), {headers: response.headers});
    } catch (error) {
      if (attempt == 2) throw error;
      await new Promise((wait) => setTimeout(wait, 500 << attempt));
    }
  }
}

function count(bytes) { if ((loaded += bytes) - reported > 1e5) postMessage({loaded: reported = loaded}); }

// Pyodide waits forever for machine code that arrives damaged. This promise fails then.
const damaged = new Promise((_, fail) => {
  WebAssembly.instantiateStreaming = (...code) => instantiateStreaming(...code).catch((error) => { fail(error); throw error; });
});

async function start({pyodide, live, session, setup, first}) {
  self.fetch = (...request) => fetchAgain(first, ...request);
  const json = async (url, options) => (await fetch(url, options)).json();
  const [lock, packages, source] = await Promise.all([json(pyodide + "pyodide-lock.json"),
    json(live + "packages.json", {cache: "no-cache"}), fetch(session).then((file) => file.text())]);
  for (const [name, entry] of Object.entries(packages)) lock.packages[name] = {...entry, file_name: live + entry.file_name};
  try { importScripts(pyodide + "pyodide.js"); } catch { throw new Error(`${pyodide}pyodide.js could not be loaded`); }
  const files = {indexURL: pyodide, packageBaseUrl: pyodide, lockFileContents: JSON.stringify(lock)};
  python = await Promise.race([damaged, loadPyodide(files)]);
  for (const stream of ["setStdout", "setStderr"]) python[stream]({write: writer()});
  python.FS.writeFile("session.py", source);
  await load(setup);
  python.pyimport("session").prepare(setup);
}

// A function that posts the bytes of a stream as text. A call shows at most MOST characters.
const MOST = 200_000;
function writer() {
  const decoder = new TextDecoder();
  return (bytes) => {
    const text = decoder.decode(bytes, {stream: true}).slice(0, MOST - printed);
    printed += text.length;
    if (text) postMessage({id: current, text: printed < MOST ? text : text + "\n… The rest is not shown."});
    return bytes.length;
  };
}

// Load the packages that a program imports.
async function load(program) {
  const messages = [];
  await python.loadPackagesFromImports(program, {messageCallback() {}, errorCallback(message) { messages.push(message); }});
  if (messages.length) throw new Error(`${messages.join(" ")} Check the network, and try again.`);
}

// Messages are {start}, then {id, name, values, imports}; each waits for the one before.
let last = Promise.resolve();
onmessage = ({data}) => { last = last.then(() => answer(data)); };

async function answer({start: options, id, name, values, imports}) {
  try {
    if (options) await start(options).then(() => postMessage({ready: true}));
    else {
      await load(imports);
      [current, printed] = [id, 0];
      postMessage({id, value: JSON.parse(python.pyimport("session").call(name, ...values))});
    }
  } catch (error) {
    const message = String(error?.message ?? error).trim().replace(/^Traceback[^]*\n(\w+\.)*/, ""); // only the last line
    postMessage({id, failed: message, fatal: error?.pyodide_fatal_error});
  }
}

// The worker of a page: loads Pyodide and packages, and calls functions of session.py.
"use strict";
let python = null, current = 0, loaded = 0, counted = 0;

const LIMIT = 32768; // pages of 64 KiB: a program that needs more than 2 GiB gets a MemoryError
const Memory = WebAssembly.Memory;
WebAssembly.Memory = function (sizes) { return new Memory({...sizes, maximum: Math.min(sizes.maximum ?? LIMIT, LIMIT)}); };

// Fetch with two more attempts. The first visit counts bytes; later ones leave the response untouched, since the
// browser keeps compiled WebAssembly only for those.
const plain = self.fetch;
async function fetchAgain(count, ...request) {
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await plain(...request);
      if (!response.ok) throw new Error(`${response.url} is missing (${response.status})`);
      if (!count || !response.body) return response;
      const meter = new TransformStream({transform(chunk, out) { report(chunk.length); out.enqueue(chunk); }});
      return new Response(response.body.pipeThrough(meter), {headers: response.headers});
    } catch (error) {
      if (attempt == 2) throw error;
      await new Promise((wait) => setTimeout(wait, 500 << attempt));
    }
  }
}

function report(bytes) {
  loaded += bytes;
  if (loaded - counted > 1e5) postMessage({loaded: counted = loaded});
}

async function start({pyodide, live, session, setup, count}) {
  self.fetch = (...request) => fetchAgain(count, ...request);
  const json = async (url) => (await fetch(url)).json();
  const [lock, own, source] = await Promise.all(
    [json(pyodide + "pyodide-lock.json"), json(live + "packages.json"), fetch(session).then((file) => file.text())]);
  for (const [name, entry] of Object.entries(own)) lock.packages[name] = {...entry, file_name: live + entry.file_name};
  try { importScripts(pyodide + "pyodide.js"); } catch { throw new Error(`${pyodide}pyodide.js is missing`); }
  python = await loadPyodide({indexURL: pyodide, packageBaseUrl: pyodide, lockFileContents: JSON.stringify(lock)});
  const decoder = new TextDecoder();
  const write = (bytes) => { postMessage({id: current, text: decoder.decode(bytes, {stream: true})}); return bytes.length; };
  python.setStdout({write});
  python.setStderr({write});
  python.FS.writeFile("session.py", source);
  await load(setup);
  python.runPython(setup);
}

// Load the packages that a program imports.
async function load(program) {
  const missing = [];
  await python.loadPackagesFromImports(program, {
    messageCallback() {}, errorCallback(message) { missing.push(message); }});
  if (missing.length) throw new Error(missing.join(" "));
}

// Messages are {start}, then {id, module, call, values, imports}; each waits for the one before.
let last = Promise.resolve();
onmessage = ({data}) => { last = last.then(() => answer(data)); };

async function answer({start: options, id, module, call, values, imports}) {
  try {
    if (options) {
      await start(options);
      postMessage({ready: true});
    } else {
      await load(imports);
      current = id;
      postMessage({id, value: JSON.parse(python.pyimport(module)[call](...values))});
    }
  } catch (error) {
    postMessage({id, failed: String(error.message ?? error), fatal: error.pyodide_fatal_error});
  }
}

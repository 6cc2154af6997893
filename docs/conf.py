"""Configuration of the site, which ``make docs`` builds without a network."""

import contextlib
import hashlib
import html
import io
import logging
import os
import re
import sys
import textwrap
import tomllib
from pathlib import Path

import nbformat
from docutils import nodes
from latex2mathml.converter import convert
from myst_nb.core.read import read_myst_markdown_notebook
from PIL import Image, ImageOps
from sphinx import addnodes

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS), str(ROOT / "examples")]

import gallery  # noqa: E402
import reach  # noqa: E402
import reference_pages  # noqa: E402

import minigrad  # noqa: E402

project = "minigrad"
author = "the minigrad authors"
release = version = minigrad.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
              "sphinx_copybutton", "live_pages"]  # fmt: skip
default_role = "py:obj"  # in docstrings, `Tensor.backward` is a link
smartquotes = False  # L' is a transpose, and --help an option

html_theme = "furo"
html_title = "minigrad"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_copyright = False
copybutton_selector = ":is(.highlight-python, .highlight-ipython3, .highlight-sh, .doctest) pre"
copybutton_exclude = ".gp, .go"  # prompts and outputs

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# Outputs of notebooks are kept until a module changes that they may have used.
modules = (file for name in ("minigrad", "captioning", "theory") for file in sorted((ROOT / name).rglob("*.py")))
digest = hashlib.sha256(b"".join(file.read_bytes() for file in modules)).hexdigest()
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "build" / "notebooks" / digest)
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120  # seconds, for each cell
nb_merge_streams = True

# The settings of the user's IPython do not change outputs, and kernels report only errors.
profile = ROOT / "build" / "ipython" / "profile_default"
profile.mkdir(parents=True, exist_ok=True)
(profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
os.environ["IPYTHONDIR"] = str(profile.parent)
logging.getLogger("traitlets").setLevel(logging.WARNING)

autosummary_generate = False
autodoc_inherit_docstrings = False
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {})
REPOSITORY, html_baseurl = URLS.get("Source"), URLS.get("Documentation", "")


def link_outside_files(app, doctree) -> None:
    """Link to files outside docs/ in the repository. While pyproject.toml has no URL of it, the site has copies."""
    page = Path(app.env.doc2path(app.env.docname))
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node.get("refdomain") == "doc" and node["reftarget"].startswith("/"):  # without its suffix
            files = (node["reftarget"] + suffix for suffix in app.config.source_suffix)
            path = os.path.relpath(next(filter(os.path.exists, files)), page.parent)
            node.replace_self(addnodes.download_reference("", "", *node.children, reftarget=path))
    for node in list(doctree.findall(addnodes.download_reference)) if REPOSITORY else ():
        path = (page.parent / node["reftarget"]).resolve()
        if not path.is_relative_to(DOCS):
            uri = f"{REPOSITORY}/blob/main/{path.relative_to(ROOT)}"
            node.replace_self(nodes.reference("", "", *node.children, refuri=uri))


def link_notebook(app, doctree) -> None:
    """Link from below a tutorial's title to its notebook."""
    if app.env.docname.startswith("tutorials/"):
        name = Path(app.env.docname).name
        link = f'<p class="download"><a href="{name}.ipynb" download>Download as a notebook</a></p>'
        doctree.next_node(nodes.title).parent.insert(1, nodes.raw("", link, format="html"))


def describe(app, page, template, context, doctree) -> None:
    """Add what search engines and messengers show of a page, and levels of furo's headings for screen readers."""
    tree = context["furo_navigation_tree"]
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')
    first = doctree and doctree.next_node(nodes.paragraph)
    if first:
        text = html.escape(textwrap.shorten(first.astext(), 160, placeholder=" …"))
        root = html_baseurl or context["pathto"]("", resource=True)
        picture = f"{root.rstrip('/') or '.'}/social.png"
        title = re.sub("<.*?>", "", context["title"])
        properties = {"title": title, "description": text, "type": "website", "image": picture}
        tags = [f'<meta property="og:{name}" content="{value}">' for name, value in properties.items()]
        context["metatags"] += "\n".join([f'<meta name="description" content="{text}">', *tags])


def visit_math(translator, node) -> None:
    """Write a formula as MathML, which needs no script."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    translator.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def embed(app, doctree) -> None:
    """Load embedded pages when they are scrolled to, and link to them; pictures of the gallery link to their pages."""
    page = r'<div class="interactive">\1 loading="lazy"></iframe><a href="\2">Open alone</a></div>'
    for node in doctree.findall(nodes.raw):
        node[0] = nodes.Text(re.sub(r'(<iframe src="(.*?)"[^>]*)></iframe>', page, node.astext()))
    for node in list(doctree.findall(nodes.image)) if app.env.docname == "gallery" else ():
        path = f"interactive/{Path(node['uri']).with_suffix('.html')}"
        node.replace_self(nodes.reference("", "", node.deepcopy(), refuri=path))


def finish(app, error) -> None:
    """Write what pages link to, unless the build failed."""
    if error is None:
        write_interactive(Path(app.outdir))
        write_notebooks(Path(app.outdir, "tutorials"))


def write_interactive(site: Path) -> None:
    """Write the pages that others embed: those of the gallery, of a reach, and what a page's first program writes."""
    folder = site / "interactive"
    for name in ("gallery", "index", "draw_graphs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for page in (DOCS / "index.md", DOCS / "guides" / "draw_graphs.md"):
        program = re.search(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[1]
        with contextlib.chdir(folder / page.stem), contextlib.redirect_stdout(io.StringIO()):
            exec(program, {})
    picture = site / "social.png"
    gallery.recurrent_steps(picture)
    ImageOps.pad(Image.open(picture).convert("RGB"), (1200, 630), color="white").save(picture)
    gallery.draw = minigrad.render.to_html
    for draw in gallery.PICTURES:
        gallery.printed(draw, folder / "gallery" / f"{draw.__name__}.html")
    networks = {name: reach.ALL[name] for name in ("LSTM, forget bias 0", "LSTM, forget bias 3")}
    trained = reach.snapshots(networks, 0, range(0, reach.STEPS + 1, 200))
    reach.reach_of(trained, 0).write(folder / "reach.html")


def write_notebooks(folder: Path) -> None:
    """Write each tutorial as a notebook."""
    for page in (DOCS / "tutorials").glob("*.md"):
        notebook = read_myst_markdown_notebook(page.read_text())
        nbformat.write(notebook, folder / f"{page.stem}.ipynb")


def setup(app) -> None:
    """Generate the reference before the build, and render links and formulas."""
    app.connect("builder-inited", lambda app: reference_pages.write(DOCS / "reference"))
    app.connect("doctree-read", link_outside_files, priority=400)  # before Sphinx collects files
    app.connect("doctree-read", embed)
    app.connect("doctree-read", link_notebook)
    app.connect("html-page-context", describe, priority=600)  # after furo
    app.connect("build-finished", finish)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))

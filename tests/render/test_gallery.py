"""The gallery in docs/ is what examples/gallery.py makes; so are the DOT texts behind its pictures."""

from __future__ import annotations

import importlib.util
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery"
spec = importlib.util.spec_from_file_location("gallery", ROOT / "examples" / "gallery.py")
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)
NAMES = [function.__name__ for function in gallery.PICTURES]
NUMBER = re.compile(r"#[0-9a-f]{6}|\d\.\d+e[+-]\d\d")
AGAIN = "make it anew: python examples/gallery.py --out docs"


def near(a: str, b: str) -> bool:
    """Whether two colours or norms differ by no more than rounding in other libraries can explain."""
    if a[0] == "#" == b[0]:
        return all(abs(int(a[i : i + 2], 16) - int(b[i : i + 2], 16)) <= 2 for i in (1, 3, 5))
    return "#" not in a + b and float(a) == pytest.approx(float(b), rel=0.1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of DOT texts, and what was printed for each."""
    folder = tmp_path_factory.mktemp("gallery")
    return folder, {f.__name__: gallery.printed(f, folder / f"{f.__name__}.dot") for f in gallery.PICTURES}


@pytest.mark.parametrize("name", NAMES)
def test_dot(made, name):
    now, then = ((folder / f"{name}.dot").read_text("utf-8") for folder in (made[0], GALLERY))
    assert NUMBER.sub("…", now) == NUMBER.sub("…", then), AGAIN
    for a, b in zip(NUMBER.findall(now), NUMBER.findall(then), strict=True):
        assert near(a, b), AGAIN


def test_page(made):
    assert gallery.page(made[1]) == (ROOT / "docs" / "gallery.md").read_text("utf-8"), AGAIN


def test_no_other_files_in_the_gallery():
    expected = {f"{name}.{suffix}" for name in NAMES for suffix in ("dot", "svg")}
    assert {path.name for path in GALLERY.iterdir()} == expected


@pytest.mark.parametrize("name", NAMES)
def test_pictures_match_their_dot_text(name):
    """The SVG was made from this DOT text: the same titles of nodes and edges, and the same words."""
    root = ElementTree.fromstring((GALLERY / f"{name}.svg").read_bytes())
    titles = {e.text for e in root.iter("{http://www.w3.org/2000/svg}title")}
    dot = (GALLERY / f"{name}.dot").read_text("utf-8")
    nodes = set(re.findall(r"^ *(\w+) \[label", dot, re.MULTILINE))
    edges = {edge.replace(" -> ", "->") for edge in re.findall(r"^ *(\w+ -> \w+)", dot, re.MULTILINE)}
    assert nodes | edges <= titles
    assert len([t for t in titles if "->" in t]) == len(edges)


def test_without_a_layout_program_the_gallery_has_no_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda *args, **options: None)
    written = gallery.main(tmp_path)
    assert written == [*(f"{name}.dot" for name in NAMES), "gallery.md"]
    assert (tmp_path / "gallery.md").exists()
    assert "The pictures are left out: drawing needs a layout program" in capsys.readouterr().out

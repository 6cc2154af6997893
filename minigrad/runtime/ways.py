"""How products of matrices are computed on this machine: decided once, when minigrad is imported, and in one place.

What is fastest differs from processor to processor, with the same kernel of the same library. So each *way* is for the
families of processors on which it was measured to gain (:data:`FAMILIES`), or for the machine that measured itself
(``python -m minigrad.runtime tune``, which keeps a small file); all others get plain products. Nothing is tried out
while a model runs: a run gives the same bits again.

    GFLOP/s on one core, float32      AMD EPYC (Zen 4)     Intel Xeon (AVX-512, 2 MiB of L2)
    large: (290, 512) (512, 1004)     plain   106          plain  155
                                      tiles   114          tiles   98
                                      MKL      97          MKL    174
    thin: (25, 512) (512, 2048)       plain    60          plain   61
                                      blocks  111          blocks  85
                                      packed   74          packed 131
    thin: (128, 512) (512, 2048)      plain    90          plain  134
                                      blocks   91          blocks  93
                                      packed   86          packed 178

(OpenBLAS 0.3.31 with its kernel SkylakeX, and MKL 2026.2 on the AMD, of which another machine of the family gained less
by tiles: docs/performance_tried.md.) What tiles and blocks are: :mod:`minigrad.ops.kernels.blocks`. They gain with
OpenBLAS's kernels for AVX-512, which compute small products where they lie; its other kernels always copy first.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from . import blas, mkl
from .extras import how_to_install
from .files import irregular, replacing

__all__ = ["BLAS", "FOLDER", "Way", "backend", "chosen", "forget", "remember", "remembered", "signature",
           "tuning_file", "using"]  # fmt: skip

BLAS = "MINIGRAD_BLAS"
"""The environment variable that chooses what computes: ``numpy`` or ``mkl``."""

FOLDER = "MINIGRAD_CACHE"
"""The environment variable that says where the file of this machine's measurement is."""


class Way(NamedTuple):
    """How products are computed.

    Fields:
        large: those of many rows: ``plain``, in ``tiles``, or by ``mkl``.
        thin: those by a weight that is used at every step: ``plain``, in ``blocks``, or by ``mkl``, packed once.
        most_rows: of a product in blocks; more are computed plainly. None if blocks gain whatever their rows.
    """

    large: str = "plain"
    thin: str = "plain"
    most_rows: int | None = None


_IN_PLACE = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""OpenBLAS's kernels that compute small products where they lie."""

FAMILIES = {
    ("numpy", "AuthenticAMD", 25): Way("tiles", "blocks"),  # Zen 4; Zen 3, also of family 25, is without AVX-512
    ("numpy", "GenuineIntel", 6): Way("plain", "blocks", 25),
    ("mkl", "AuthenticAMD", 25): Way("mkl", "blocks"),
    ("mkl", "GenuineIntel", 6): Way("mkl", "mkl"),
}
"""By what computes, and the processor's vendor and family, where OpenBLAS's kernel is one of `_IN_PLACE`."""

_PREFERRED = {("GenuineIntel", 6): "mkl"}
"""What computes if both are there and nobody says: else NumPy, which is faster than MKL on Zen 4."""


def machine() -> dict[str, Any]:
    """What a measurement holds for: another processor or another NumPy is another machine."""
    vendor, family = blas.processor()
    return {"system": sys.platform, "vendor": vendor, "family": family, "kernel": blas.kernel(),
            "numpy": np.__version__}  # fmt: skip


# --- the file -----------------------------------------------------------------------------------------


def tuning_file() -> Path:
    """Where a measurement of this machine is kept: ``products.json`` in ``MINIGRAD_CACHE``, or in the user's cache."""
    caches = os.environ.get("XDG_CACHE_HOME", "")  # of a relative one the specification says that it does not count
    caches = caches if os.path.isabs(caches) else os.path.expanduser("~/.cache")
    return Path(os.environ.get(FOLDER) or Path(caches, "minigrad"), "products.json")


def remember(ways: dict[str, Way], fastest: str, figures: Any) -> Path:
    """Keep a measurement for the processes that begin from now on; the file.

    Args:
        ways: the fastest way of ``numpy``, and of ``mkl`` where it is there. fastest: which of these.
        figures: what was measured, for whoever reads the file.
    """
    path = tuning_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"machine": machine(), "mkl": mkl.version(), "fastest": fastest,
            "ways": {name: way._asdict() for name, way in ways.items()}, "figures": figures}  # fmt: skip
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def forget() -> Path | None:
    """Delete the measurement; its file, None if there was none."""
    path = tuning_file()
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    return path


class Remembered(NamedTuple):
    """A measurement: the fastest ``ways`` by what computes, which is the ``fastest``, and a sentence, ``where`` it is
    or why there is none, with no ways then."""

    ways: dict[str, Way]
    fastest: str
    where: str


def remembered() -> Remembered:
    """What this machine has measured. Of another version of MKL, or without it, NumPy's way alone holds."""
    path = tuning_file()
    if what := irregular(path):
        return Remembered({}, "", f"{path} cannot be read: it is {what}")
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["machine"] != machine():
            return Remembered({}, "", f"{path} was measured with another processor or NumPy")
        ways = {name: _checked(name, Way(**fields)) for name, fields in kept["ways"].items()}
        fastest = kept["fastest"]
        if fastest not in ways or "numpy" not in ways:
            raise ValueError(f"no way is of {fastest}, or of numpy")
        if "mkl" in ways and kept["mkl"] != mkl.version():
            del ways["mkl"]
        return Remembered(ways, fastest if fastest in ways else "numpy", f"measured here, {path}")
    except FileNotFoundError:
        return Remembered({}, "", "not measured here")
    except OSError as error:
        return Remembered({}, "", f"{path} cannot be read: {error.strerror}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Remembered({}, "", f"{path} is damaged: delete it, or measure again")


def _checked(computes: str, way: Way) -> Way:
    """The way, or a ValueError."""
    rows, own = way.most_rows, ("mkl",) if computes == "mkl" else ()
    if computes not in ("numpy", "mkl"):
        raise ValueError(f"nothing is called {computes}")
    if way.large not in ("plain", "tiles", *own) or way.thin not in ("plain", "blocks", *own):
        raise ValueError(f"no such way: {way}")
    if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 1):
        raise ValueError(f"most_rows must be an integer of at least 1, not {rows!r}")
    return way


# --- the decision -------------------------------------------------------------------------------------


def _computes(measured: str) -> tuple[str, str]:
    """``numpy`` or ``mkl``, and why; ``measured`` is the faster one, empty if that is not known.

    Raises:
        ValueError: if the environment asks for something else, or for MKL, which is not there.
    """
    asked = os.environ.get(BLAS, "").strip().lower()
    if asked not in ("", "numpy", "mkl"):
        raise ValueError(f"{BLAS} must be numpy or mkl (or empty: the faster one that is there), not {asked!r}")
    if asked == "mkl" and (why := mkl.reason_against()):
        advice = "" if mkl.path() else f": {how_to_install('mkl', 'mkl')}"
        raise ValueError(f"{BLAS} asks for mkl, but {why}{advice}; or unset {BLAS}")
    if asked:
        return asked, f"{BLAS} says so"
    known = _PREFERRED.get(blas.processor()) if blas.kernel() in _IN_PLACE else None
    preferred = measured or known or "numpy"
    if preferred == "mkl" and (why := mkl.reason_against()):
        return "numpy", why
    return preferred, "measured to be the fastest" if measured else "the default of such processors"


def _decide() -> tuple[str, Way, str]:
    """What computes, the way, and why."""
    ways, fastest, where = remembered()
    computes, why = _computes(fastest)
    if computes in ways:
        return computes, ways[computes], f"{why}; {where}"
    vendor, family = blas.processor()
    known = FAMILIES.get((computes, vendor, family)) if blas.kernel() in _IN_PLACE else None
    processor = f"{vendor or 'unknown'}, family {family}, kernel {blas.kernel() or 'unknown'}"
    default = Way("mkl", "mkl") if computes == "mkl" else Way()  # whoever asks for MKL has it compute
    return computes, known or default, f"{why}: {processor}{'' if known else ', of which there are no figures'}"


def _print_in_one_line(wrong: ValueError) -> None:
    """Print an uncaught error as one line, without a traceback.

    Commands import minigrad before they can catch anything, so the interpreter's hook is the one place for all of them.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if error is wrong:
            print(f"ValueError: {error}", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, trace)

    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = hook


try:
    _computes_by, chosen, _why = _decide()  # chosen: the way, for all of the process
except ValueError as error:
    _print_in_one_line(error)
    raise


@contextmanager
def using(way: Way) -> Iterator[None]:
    """Compute in this way, in all threads, while the block runs: for those who measure or compare ways."""
    global chosen
    before, chosen = chosen, way
    try:
        yield
    finally:
        chosen = before


def signature() -> str:
    """How products are computed, in a few words, for whoever keeps results that are to be repeated: where these words
    differ, so do last bits. (On another processor they may, though the words are the same.)

    >>> chosen.large in signature()
    True
    """
    by = f"numpy {np.__version__} {blas.kernel()}".strip() if _computes_by == "numpy" else f"mkl {mkl.version()}"
    rows = f" of up to {chosen.most_rows} rows" if chosen.most_rows else ""
    return f"{by}, {chosen.large}, {chosen.thin}{rows}"


def backend() -> str:
    """What computes products of matrices, how, and why, in a line.

    >>> "large products" in backend()
    True
    """
    library = f"NumPy's {blas.kernel() or 'BLAS'}" if _computes_by == "numpy" else f"MKL {mkl.version()} ({mkl.path()})"
    thin = "packed once" if chosen.thin == "mkl" else chosen.thin
    rows = f" of up to {chosen.most_rows} rows" if chosen.most_rows else ""
    return f"{library}: large products {chosen.large}, products of a step {thin}{rows} ({_why})"

"""Choose how this machine computes matrix products, once, before the first product.

The fastest way differs from processor to processor, even with the same kernel of the same library. So each *strategy*
is used only on processor families for which a measurement showed a gain (:data:`FAMILIES`), or on machines measured
with ``python -m minigrad.runtime tune``. All others compute plain products. No strategy is tried out while a model
runs, so a repeated run gives the same bits.

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

(OpenBLAS 0.3.31 with its kernel SkylakeX, and MKL 2026.2 on the AMD. On another machine of that family
tiles gained less.) :mod:`minigrad.ops.kernels.blocked_products` explains tiles and blocks. They gain with
OpenBLAS's AVX-512 kernels, which compute small products without copying; its other kernels always copy first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import blas, mkl, threads
from .extras import how_to_install
from .files import cache_folder, irregular, replacing
from .settings import environment_setting

__all__ = ["BLAS", "Strategy", "backend", "chosen", "keep", "measurement", "signature", "tuning_file",
           "using"]  # fmt: skip

BLAS = "MINIGRAD_BLAS"
"""The environment variable that chooses the library: ``numpy``, ``mkl`` or, by default, ``auto``."""


class Strategy(NamedTuple):
    """The strategy for computing products.

    Fields:
        large: products of many rows: ``plain``, in ``tiles``, or by ``mkl``.
        thin: products by a weight that is used at every step: ``plain``, in ``blocks``, or by ``mkl``, packed once.
        most_rows: the most rows of a product in blocks; larger products are plain. None if blocks gain for any number.
    """

    large: str = "plain"
    thin: str = "plain"
    most_rows: int | None = None

    def __str__(self) -> str:
        return f"large products {self.large}, products of a step {self.thin}{self.limit}"

    @property
    def limit(self) -> str:
        """Describe how many rows a product in blocks may have."""
        return f" of up to {self.most_rows} rows" if self.most_rows else ""


# OpenBLAS's kernels that compute small products without copying them.
_WITHOUT_COPIES = ("SkylakeX", "Cooperlake", "SapphireRapids")

FAMILIES = {
    ("AuthenticAMD", 25): ("numpy", {"numpy": Strategy("tiles", "blocks"), "mkl": Strategy("mkl", "blocks")}),
    ("AuthenticAMD", 26): ("numpy", {"numpy": Strategy("plain", "blocks", 40)}),
    ("GenuineIntel", 6): ("mkl", {"numpy": Strategy("plain", "blocks", 25), "mkl": Strategy("mkl", "mkl")}),
}
"""The faster library and each one's strategy, by the processor's vendor and family, if OpenBLAS's kernel is one of
`_WITHOUT_COPIES`: Zen 4 (Zen 3, also of family 25, has no AVX-512), Zen 5 and Intel Xeon. What may break: newer
processors and kernels are in neither table. Then products are plain, which may be slower, until ``tune`` has measured
the machine."""


# --- the measurement of this machine ------------------------------------------------------------------


def tuning_file() -> Path:
    """Return the file of the measurement: ``products.json`` in ``MINIGRAD_CACHE`` or in the user's cache."""
    return cache_folder() / "products.json"


def _machine() -> dict[str, Any]:
    """Return what a measurement is valid for."""
    return {"system": sys.platform, "processor": list(blas.processor()), "kernel": blas.kernel(),
            "numpy": np.__version__}  # fmt: skip


def keep(strategies: dict[str, Strategy], fastest: str, figures: Any) -> Path:
    """Write a measurement for the processes that start from now on, and return its file.

    Args:
        strategies: the fastest one of ``numpy``, and of ``mkl`` if it is installed.
        fastest: the faster of these libraries.
        figures: the measured times, for people who read the file.
    """
    path = tuning_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {
        "machine": _machine(),
        "mkl": mkl.version(),
        "fastest": fastest,
        "strategies": {library: strategy._asdict() for library, strategy in strategies.items()},
        "figures": figures,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def measurement() -> tuple[dict[str, Strategy], str, str]:
    """Read this machine's measurement.

    Returns:
        The fastest strategy of each library, the faster library, and where the measurement is or why there is none.
        Without MKL, or with another version of it, only NumPy's strategy is valid.
    """
    path = tuning_file()
    try:
        if kind := irregular(path):
            raise OSError(0, f"it is {kind}")
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["machine"] != _machine():
            return {}, "", f"{path} was measured with another processor or NumPy"
        strategies = {library: Strategy(**fields) for library, fields in kept["strategies"].items()}
        if not {"numpy", kept["fastest"]} <= strategies.keys() <= {"numpy", "mkl"}:
            raise ValueError("an unknown library, or a library without a strategy")
        if kept["mkl"] != mkl.version():
            strategies.pop("mkl", None)
        return strategies, kept["fastest"] if kept["fastest"] in strategies else "numpy", f"measured here, {path}"
    except FileNotFoundError:
        return {}, "", "not measured here"
    except OSError as error:
        return {}, "", f"{path} cannot be read: {error.strerror}"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}, "", f"{path} is damaged: delete it, or measure again"


# --- the decision -------------------------------------------------------------------------------------


def _decide() -> tuple[str, Strategy, str]:
    """Return the library, the strategy, and why.

    Raises:
        ValueError: if the environment asks for another library, or for MKL when it cannot be used.
    """
    asked = environment_setting(BLAS, "auto", "numpy", "mkl")
    (vendor, family), kernel = blas.processor(), blas.kernel()
    preferred, known = FAMILIES.get((vendor, family) if kernel in _WITHOUT_COPIES else ("", 0), ("numpy", {}))
    strategies, measured, source = measurement()
    library = measured or preferred if asked == "auto" else asked
    why = "measured to be the fastest" if measured else "the default of such processors"
    why = why if asked == "auto" else f"{BLAS} says so"
    if library == "mkl" and (problem := mkl.reason_against()):
        if asked == "mkl":
            advice = "" if mkl.path() else f": {how_to_install('mkl', 'mkl')}"
            raise ValueError(f"{BLAS} asks for mkl, but {problem}{advice}; or unset {BLAS}")
        library, why = "numpy", problem
    if library in strategies:
        return library, strategies[library], f"{why}; {source}"
    default = Strategy("mkl", "mkl") if library == "mkl" else Strategy()  # MKL on request
    processor = f"{vendor or 'unknown'}, family {family}, kernel {kernel or 'unknown'}"
    unknown = "" if library in known else ", for which there are no measurements"
    return library, known.get(library, default), f"{why}: {processor}{unknown}"


chosen: Strategy
"""The strategy of the whole process, which is decided when it is first read."""

_decided = cache(_decide)


def __getattr__(name: str) -> Any:
    """Decide when `chosen` is first read; from then on it is a plain variable."""
    if name != "chosen":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with threads.lock:  # MKL must be set up once
        return globals().setdefault(name, _decided()[1])


@contextmanager
def using(strategy: Strategy) -> Iterator[None]:
    """Use a strategy in all threads within this context, to measure or compare strategies."""
    global chosen
    before, chosen = __getattr__("chosen"), strategy
    try:
        yield
    finally:
        chosen = before


def signature() -> str:
    """Describe in a few words how products are computed, to store with results that must be reproducible.

    If these words differ, the last bits of results differ. On another processor they may differ even if the words are
    the same.

    >>> signature().startswith(("numpy ", "mkl "))
    True
    """
    strategy, (library, *_) = __getattr__("chosen"), _decided()
    version = f"numpy {np.__version__} {blas.kernel()}" if library == "numpy" else f"mkl {mkl.version()}"
    return f"{version.strip()}, {strategy.large}, {strategy.thin}{strategy.limit}"


def backend() -> str:
    """Describe in one line which library computes matrix products, how, and why.

    >>> "large products" in backend()
    True
    """
    strategy, (library, _, why) = __getattr__("chosen"), _decided()
    name = f"MKL {mkl.version()} ({mkl.path()})" if library == "mkl" else f"NumPy's {blas.kernel() or 'BLAS'}"
    return f"{name}: {strategy} ({why})"

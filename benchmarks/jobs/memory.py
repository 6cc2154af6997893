"""The peak of memory during training iterations, above the level after importing, and without the model's weights.

Linux keeps the peak of resident memory (VmHWM) and sets it back to the present level when 5 is written to
/proc/self/clear_refs. Every round has a fresh process. An iteration of a tiny captioner comes before the level is
taken: it loads the pages of the libraries' code, some 40 MB of PyTorch's, which are not arrays. The optimiser's state
counts, whether it is made with the model or in the first step. First, the C library returns memory that is free after
building the model; otherwise it would hide the memory of the work.
Of PyTorch's variants only two are here: "packed" takes least, and "eager" is what most people run.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.job import Aim, Case, Rival, Unavailable, Work
from benchmarks.jobs import captioner
from benchmarks.jobs.captions import Sizes, captions_note

__all__ = ["cases"]

_TINY = Sizes(words=20, batch=2, batches=1, features=4, wordvec=4, hidden=8)


def cases(quick: bool = False) -> list[Case]:
    """The LSTM captioner's iteration, with two batch sizes."""
    return [_case(Sizes(batch=batch, batches=2)) for batch in ((4,) if quick else (25, 128))]


def _case(sizes: Sizes) -> Case:
    ways: dict[str, Callable[[Sizes], Work]] = {
        "eager": partial(captioner.pytorch, rows="all"),
        "packed": partial(captioner.pytorch, rows="packed", fused=True),
    }
    return Case(
        f"LSTM captioner's iteration, batch {sizes.batch}",
        [
            Rival("minigrad", "minigrad", partial(_peak, captioner.minigrad, sizes)),
            *(Rival(name, "PyTorch", partial(_peak, way, sizes), ("torch",)) for name, way in ways.items()),
        ],
        [Aim("PyTorch", 1.0)],
        fresh=True,
        unit="bytes",
        note=captions_note(),
    )


def _peak(way: Callable[[Sizes], Work], sizes: Sizes) -> Work:
    """The peak while the work is done, in bytes: above the level before `way` built it, and without the weights."""
    model = sum(array.nbytes for array in sizes.weights().values())
    try:
        _reset_peak()
    except OSError as error:
        raise Unavailable(f"the peak of memory is read from Linux's /proc, which does not allow it: {error}") from error
    way(_TINY).run()
    level = _reset_peak()
    work = way(sizes)

    def run() -> float:
        _reset_peak()
        work.run()
        return _peak_so_far() - level - model

    return Work(run, work.outputs, measured=True)


def _reset_peak() -> float:
    """Set the peak to the level of what is in use, and return that."""
    gc.collect()
    _give_back()
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_so_far()


def _give_back() -> None:
    """Free memory back to the system, where the C library is GNU's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _peak_so_far() -> float:
    """VmHWM in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return float(line.split()[1]) * 1024

"""The twelve programs of GradBench (github.com/gradbench/gradbench), in float64 and on one thread.

Gradients, Jacobians, a Newton step and nested derivatives. Many are loops of small operations, which measure what the
graph costs. PyTorch runs them eagerly, and the Jacobian of the hand also forward; JAX compiles each program.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.gradbench.inputs import SIZES, draw
from benchmarks.job import Aim, Case, Rival, Work

__all__ = ["cases"]

_CALLS = {"hello": 100}  # calls in one run of a program that takes microseconds


def cases(quick: bool = False) -> list[Case]:
    """Return a case for each program."""
    return [_case(program, quick) for program in SIZES]


def _case(program: str, quick: bool) -> Case:
    rivals = [
        Rival("minigrad", "minigrad", partial(_minigrad, program, quick)),
        Rival("PyTorch", "PyTorch", partial(_pytorch, program, quick), ("torch",)),
    ]
    if program == "ht":
        rivals.append(Rival("PyTorch, forward", "PyTorch", partial(_pytorch, program, quick, True), ("torch",)))
    rivals.append(Rival("JAX", "JAX", partial(_jax, program, quick), ("jax",)))
    return Case(program, rivals, [Aim("PyTorch", 2.0 if program == "particle" else 2.5)], threads=(1,))


def _work(program: str, run: Any) -> Work:
    """Return the work of calling a function without arguments."""

    def outputs() -> dict[str, Any]:
        return {f"result {i}": result for i, result in enumerate(run())}

    calls = _CALLS.get(program, 1)

    def repeated() -> None:
        for _ in range(calls):
            run()

    return Work(repeated, outputs, calls)


def _minigrad(program: str, quick: bool) -> Work:
    import minigrad as mg
    from benchmarks.gradbench.programs import PROGRAMS

    mg.runtime.keep_memory()  # these loops have large arrays, but no layers
    return _work(program, partial(PROGRAMS[program], mg, *draw(program, quick)))


def _pytorch(program: str, quick: bool, forward: bool = False) -> Work:
    import torch

    from benchmarks.gradbench.in_torch import PROGRAMS, as_tensors

    options = {"jacobian": torch.func.jacfwd} if forward else {}
    return _work(program, partial(PROGRAMS[program], *as_tensors(draw(program, quick)), **options))


def _jax(program: str, quick: bool) -> Work:
    from benchmarks.gradbench.in_jax import compiled

    return _work(program, compiled(program, draw(program, quick)))

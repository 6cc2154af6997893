"""The twelve programs of GradBench (github.com/gradbench/gradbench), reimplemented from their formulas.

inputs        random inputs, in a small size for tests and a large one for timing
programs      in minigrad; JAX shares those without a loop
in_torch, in_jax    the same derivatives, in idiomatic PyTorch and in JAX

A program takes its inputs and returns a tuple of derivatives. `programs.PROGRAMS` and its counterparts list them.
"""

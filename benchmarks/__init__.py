"""Benchmarks against PyTorch and other libraries: `python -m benchmarks`, or `make bench`.

job, jobs/        the comparisons: cases, their rivals and aims, and the number of operations
worker, workers   a process for each rival that runs one round on request; the driver's interface to it
gradbench/        the programs of GradBench, in minigrad, PyTorch and JAX
driver            rounds A B, B A, …; agreement: compares the rivals' results before timing
against           another checkout of minigrad as a rival, to measure a change
results           the measurements as JSON; figures: medians, quartiles, ratios and verdicts
tables, picture   readable output; machine: the test machine; cli: the command line
"""

"""Side by side with PyTorch and others: `python -m benchmarks`, or `make bench`.

job, jobs/        what is compared: cases, their rivals, aims, and how many operations they ask for
worker, workers   a process for each rival that does one round when told; how the driver speaks to it
driver            rounds A B, B A, …; agreement: what the rivals computed, compared before any of it is timed
against           another checkout of minigrad as a rival, to measure a change
results           what was measured, in JSON; figures: medians, quartiles, ratios and verdicts from it
tables, picture   the same for people; machine: what it was measured on; cli: the command
"""

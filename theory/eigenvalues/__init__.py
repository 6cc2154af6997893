"""Claim 3-2: gradients through a linear recurrence vanish or explode by the spectral radius."""

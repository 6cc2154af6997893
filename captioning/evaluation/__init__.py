"""Evaluate captioners: scores on a split, consensus decoding, and calibrated confidence."""

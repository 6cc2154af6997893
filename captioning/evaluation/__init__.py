"""How good a captioner is: scores of a split, consensus decoding, and calibrated confidence."""

"""Claims 1-1 to 1-3: convolutions and transposed convolutions are matrices."""

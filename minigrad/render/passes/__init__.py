"""From a picture to another picture: unrolled, expanded, ordered, folded."""

"""Training: the training loop, run folders, refining and reinforcing."""

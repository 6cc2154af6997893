"""From the nodes behind tensors to a picture."""

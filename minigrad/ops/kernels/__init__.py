"""What several primitives compute with: plain functions on arrays, which know neither tensors nor the graph."""

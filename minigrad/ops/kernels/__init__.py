"""What several primitives compute with: plain functions on arrays, without a tape and without gradients."""

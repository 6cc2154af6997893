"""Kernels shared by primitives: plain functions on arrays, independent of tensors and the graph."""

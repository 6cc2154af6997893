"""The process that minigrad runs in: threads, BLAS, memory, interrupts, files, packages. Knows nothing of tensors."""

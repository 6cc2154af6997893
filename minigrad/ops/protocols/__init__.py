"""How tensors meet Python's operators and NumPy's functions: ``x + y``, ``x[1:]``, ``np.tanh(x)``."""

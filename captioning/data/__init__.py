"""Captions and features: the vocabulary, the HDF5 files of the CS231n layout, features read by rows."""

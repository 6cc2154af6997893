"""A limit on the size of files stands for a full disk."""

import resource
from contextlib import contextmanager


@contextmanager
def files_of_at_most(size):
    """In the block no file can grow beyond so many bytes: what would is an OSError, 'File too large'."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

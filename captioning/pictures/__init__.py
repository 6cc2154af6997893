"""Photos that are fetched, and pictures that are drawn: the curve of a run, a sheet of captions."""

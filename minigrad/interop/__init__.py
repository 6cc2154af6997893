"""Networks of other packages: files that are read and written."""

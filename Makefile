# Two commands from a fresh checkout, with Python 3.11 or newer and make alone:
#   make demo    train a captioner on drawn scenes and show what it says
#   make test    run all tests
# and a third to measure:
#   make bench   time minigrad beside PyTorch and others on this machine (20 minutes); bench/ holds figures and a picture
# They make a virtual environment in .venv first and install pinned dependencies (constraints.txt).

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= caption,theory,test
DEMO ?= --out demo
PYTEST ?= -n auto
BENCH ?= --json bench/results.json --picture bench/results.svg
RUN = $(VENV)/bin/python
STAMP = $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
comma = ,

.PHONY: demo test bench lint types wheel clean help

help:
	@sed -n 's/^#   //p' Makefile

demo: $(STAMP)
	@rm -rf demo
	$(RUN) -m captioning demo $(DEMO)

# One thread for each test process: together they fill the cores.
test: $(STAMP)
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(RUN) -m pytest $(PYTEST)

bench: $(VENV)/.installed-bench
	$(RUN) -m benchmarks $(BENCH)

lint: $(STAMP)
	$(RUN) -m ruff check .

types: $(STAMP)
	$(RUN) -m mypy

wheel: $(STAMP)
	$(RUN) -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist demo bench *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache

# The name says which extras it is about: .installed-caption-test for caption,test.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minigrad needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable ".[$(subst -,$(comma),$*)]"
	@touch $@

# Commands for a fresh checkout; they need only Python 3.11 or newer and make:
#   make demo    train a captioner on synthetic scenes and print its captions
#   make caption PHOTO=photo.jpg    caption a photo, or all photos in a folder
#   make test    run the tests
# For development and benchmarks:
#   make lint    check the code with ruff and the imports between modules; make types runs mypy; make format runs ruff
#   make docs    build the site in build/site
#   make pictures   redraw the gallery, the reach pictures and the golden files
#   make campaigns   run every test in full, against PyTorch and with MKL, and plant mistakes in the code (hours)
#   make bench   compare the speed of minigrad with PyTorch and others (35 minutes); bench/ holds the results and a plot
# Each command first creates a virtual environment in .venv and installs pinned dependencies (constraints.txt).

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= caption,theory,viz,test
DEMO ?= --out demo
PYTEST ?= -n auto
WORKERS ?= 2
BENCH ?= --json bench/results.json --picture bench/results.svg
RUN = $(VENV)/bin/python
STAMP = $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
comma = ,
# One thread per test process, because the processes together use all cores.
ALONE = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: demo caption test docs pictures campaigns bench lint format types wheel clean help
.NOTPARALLEL:  # all targets share one environment

help:
	@sed -n 's/^#   //p' Makefile

demo: $(STAMP)
	@rm -rf demo
	$(RUN) -m captioning demo $(DEMO)

caption: $(VENV)/.installed-caption-vision
	@test -n "$(PHOTO)" || { echo 'PHOTO is not set. Run: make caption PHOTO=photo.jpg' >&2; exit 2; }
	@$(RUN) -m captioning caption "$(PHOTO)"

test: $(STAMP)
	$(ALONE) $(RUN) -m pytest $(PYTEST)

docs: $(VENV)/.installed-docs
	@mkdir -p build
	$(RUN) -m sphinx --quiet --fail-on-warning --keep-going --doctree-dir build/doctrees docs build/site
	$(RUN) docs/check_links.py build/site
	@echo "The site is in build/site: open build/site/index.html"

pictures: $(STAMP)
	$(RUN) examples/gallery.py --out docs
	$(RUN) examples/reach.py --out docs/reach
	RENEW_GOLDEN=1 $(RUN) -m pytest -q tests/render/test_golden.py

# All cases that make test samples, with compiled loops, PyTorch, MPI and ONNX; matrix products by MKL; and mistakes planted
# in each file.
campaigns:
	$(MAKE) test EXTRAS=$(EXTRAS),peers,fast PYTEST="$(PYTEST) --full"
	MINIGRAD_BLAS=mkl $(MAKE) test EXTRAS=$(EXTRAS),peers,fast,mkl \
	  PYTEST="$(PYTEST) tests/runtime tests/nn tests/ops tests/captioning/models tests/captioning/training"
	$(ALONE) $(RUN) -m tests.mutation --sample 3 --workers $(WORKERS)

bench: $(VENV)/.installed-bench
	@mkdir -p bench
	$(RUN) -m benchmarks $(BENCH)

lint: $(STAMP)-lint
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

format: $(STAMP)-lint
	$(RUN) -m ruff format .

# Runs in the environment of the packages, so that mypy knows their types.
types: $(STAMP)-lint
	$(RUN) -m mypy

wheel: $(STAMP)
	@rm -rf build dist
	$(RUN) -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist demo bench *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache

# The name lists the extras: .installed-caption-test for caption,test.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minigrad needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable ".[$(subst -,$(comma),$*)]"
	@touch $@

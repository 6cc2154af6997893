# Commands from a fresh checkout, with Python 3.11 or newer and make alone:
#   make demo    train a captioner on drawn scenes and show what it says
#   make caption PHOTO=photo.jpg    say what is on a photo, or on those in a folder
#   make test    run the tests
# and those who change or measure it want:
#   make lint    check the code with ruff and the imports between modules; make types runs mypy; make format runs ruff
#   make campaigns   run every test in full, beside PyTorch and with MKL, and plant mistakes (hours)
#   make bench   time minigrad beside PyTorch and others on this machine (35 minutes); bench/ holds figures and a picture
# They make a virtual environment in .venv first and install pinned dependencies (constraints.txt).

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
# One thread for each test process: together they fill the cores.
ALONE = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: demo caption test campaigns bench lint format types wheel clean help
.NOTPARALLEL:  # all share one environment

help:
	@sed -n 's/^#   //p' Makefile

demo: $(STAMP)
	@rm -rf demo
	$(RUN) -m captioning demo $(DEMO)

caption: $(VENV)/.installed-caption-vision
	@test -n "$(PHOTO)" || { echo 'which photo? make caption PHOTO=photo.jpg' >&2; exit 2; }
	@$(RUN) -m captioning caption "$(PHOTO)"

test: $(STAMP)
	$(ALONE) $(RUN) -m pytest $(PYTEST)

# Everything that make test samples, beside PyTorch, MPI and ONNX; products by MKL; and mistakes planted in each file.
campaigns:
	$(MAKE) test EXTRAS=$(EXTRAS),peers PYTEST="$(PYTEST) --full"
	MINIGRAD_BLAS=mkl $(MAKE) test EXTRAS=$(EXTRAS),peers,mkl \
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

# Beside the checked packages, so that their types are known.
types: $(STAMP)-lint
	$(RUN) -m mypy

wheel: $(STAMP)
	@rm -rf build dist
	$(RUN) -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist demo bench *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache

# The name says which extras it is about: .installed-caption-test for caption,test.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minigrad needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable ".[$(subst -,$(comma),$*)]"
	@touch $@

# make help lists the commands. They need only Python 3.11 or newer and make.
#   Try it:
#     make demo       train a captioner on synthetic scenes and print its captions
#     make caption PHOTO=photo.jpg    caption a photo, or all photos in a folder
#   Check a change:
#     make test       run the tests; make test PYTEST="-k softmax" runs some
#     make lint       check style, spelling and the imports between modules
#     make types      run mypy
#     make format     format the code
#     make coverage   run the tests and fail if they cover less than the floor in pyproject.toml
#     make live-check WHEELS=folder   build the site with Pyodide, and run its cells in Chromium
#     make campaigns  run every test in full, against PyTorch and with MKL, and plant mistakes in the code (hours)
#   Make something:
#     make docs       build the site in build/site; LIVE=folder names Pyodide's files, which the site then has itself
#     make pictures   redraw the gallery, the reach pictures and the golden files
#     make bench      compare the speed of minigrad with PyTorch and others (40 minutes); results are in bench/
#     make dist       build the sdists and the wheels of minigrad and of the captioner's weights in dist/
#     make release-check    build them, and try them in empty environments with the oldest and newest versions
#     make clean      delete everything that these commands made, and .venv
# Each command first creates a virtual environment in .venv and installs pinned dependencies (constraints.txt).

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= caption,scipy,theory,viz,test
DEMO ?= --out demo
PYTEST ?= -n auto
WORKERS ?= 2
BENCH ?= --json bench/results.json --picture bench/results.svg
BIN = $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN = $(BIN)/python
# setuptools warns about every editable installation.
PIP = PYTHONWARNINGS=ignore $(RUN) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# EXTRAS lists extras and dependency groups of pyproject.toml.
GROUPS = bench coverage dev docs lint peers release test
STAMP = $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
comma = ,
empty =
space = $(empty) $(empty)
# One thread per test process, because the processes together use all cores.
ALONE = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: bench campaigns caption clean coverage demo dist docs format help lint live-check pictures release-check test types
.NOTPARALLEL:  # all targets share one environment

help:
	@sed -n 's/^#   //p' Makefile

demo: $(STAMP)
	@rm -rf demo
	$(RUN) -m captioning demo $(DEMO)

caption: $(VENV)/.installed-caption
	@test -n "$(PHOTO)" || { echo 'PHOTO is not set. Run: make caption PHOTO=photo.jpg' >&2; exit 2; }
	@$(RUN) -m captioning caption "$(PHOTO)"

test: $(STAMP)
	$(ALONE) $(RUN) -m pytest $(PYTEST)

# Beside PyTorch, MPI and ONNX, without which the tests skip what needs them.
coverage: $(STAMP)-coverage-fast-mpi-peers
	$(ALONE) $(RUN) -m pytest $(PYTEST) --cov

docs: $(STAMP)-docs
	@mkdir -p build
	$(RUN) -m sphinx --quiet --fail-on-warning --keep-going --doctree-dir build/doctrees docs build/site
	$(RUN) docs/check_links.py build/site
	@echo "The site is in build/site: open build/site/index.html, or for cells that run: python -m http.server -d build/site"

# Needs Node with npm, Chromium with its driver, and in WHEELS the wheels of NumPy and Pillow for Pyodide 0.28.
live-check: $(STAMP)-docs
	@test -n "$(WHEELS)" || { echo 'WHEELS is not set. Run: make live-check WHEELS=folder' >&2; exit 2; }
	@rm -rf build/live && mkdir -p build/live
	cd build/live && npm pack --silent pyodide@0.28.3 && tar -xzf pyodide-0.28.3.tgz --strip-components=1 && rm *.tgz *.map *.html
	cp "$(WHEELS)"/*.whl build/live
	$(MAKE) docs LIVE=build/live
	LIVE_SITE=build/site $(RUN) -m pytest -q tests/live
	$(PIP) --no-deps --target build/live/packages \
	  hypothesis iniconfig packaging pluggy pygments pytest pytest-timeout sortedcontainers
	node tests/live/in_node.mjs build/live build/live/packages -q minigrad tests/check tests/nn tests/optim

pictures: $(STAMP)
	$(RUN) examples/gallery.py --out docs
	$(RUN) examples/reach.py --out docs/reach
	RENEW_GOLDEN=1 $(RUN) -m pytest -q tests/render/test_golden.py

# All cases that make test samples, with compiled loops, PyTorch, MPI and ONNX; matrix products by MKL; and mistakes planted
# in each file.
campaigns:
	$(MAKE) test EXTRAS=$(EXTRAS),fast,mpi,peers PYTEST="$(PYTEST) --full"
	MINIGRAD_BLAS=mkl $(MAKE) test EXTRAS=$(EXTRAS),fast,mkl,mpi,peers \
	  PYTEST="$(PYTEST) tests/runtime tests/nn tests/ops tests/captioning/models tests/captioning/training"
	$(ALONE) $(RUN) -m tests.mutation --sample 3 --workers $(WORKERS)

bench: $(VENV)/.installed-fast-bench
	@mkdir -p bench
	$(RUN) -m benchmarks $(BENCH)

lint: $(STAMP)-lint
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(BIN)/codespell $$(git ls-files)
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/lint-imports --no-cache

format: $(STAMP)-lint
	$(RUN) -m ruff format .

# Runs in the environment of the packages, so that mypy knows their types.
types: $(STAMP)-lint
	$(RUN) -m mypy

dist: $(STAMP)-release
	@rm -rf dist
	$(RUN) -m build --quiet
	$(RUN) -m build --quiet --outdir dist weights/flickr8k
	$(RUN) -m twine check --strict dist/*

release-check: dist
	PATH="$(abspath $(BIN)):$$PATH" .ci/release-check

clean:
	rm -rf $(VENV) build dist demo bench .coverage *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	rm -rf weights/*/build weights/*/*.egg-info

# The name lists the extras and groups: .installed-caption-test for caption,test. Only pip 25.1 and newer know --group.
# The extra caption requires the captioner's weights, which pip finds in their folder instead of an index.
$(VENV)/.installed-%: pyproject.toml weights/flickr8k/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minigrad needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) $(addprefix --group ,$(filter $(GROUPS),$(subst -, ,$*))) --editable ".[$(subst $(space),$(comma),$(filter-out $(GROUPS),$(subst -, ,$*)))]" \
	  --editable ./weights/flickr8k
	@touch $@

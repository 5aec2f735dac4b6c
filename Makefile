# Needs Python 3.11 or later and make; everything else is installed into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

# The first Python that is new enough and can make environments; `make PYTHON=...` overrides it.
CANDIDATES := python3 python3.11 python3.12 python3.13 python3.14 python
SUITS := import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 11))
PYTHON ?= $(shell for found in $(CANDIDATES); do \
	$$found -c '$(SUITS)' 2>/dev/null && echo $$found && break; done)

.PHONY: help demo test test-gpu unit check format venv clean bench-quality bench-quality-small

help:
	@echo 'make demo    compress a real model through the service, in one command'
	@echo 'make test    checks and all tests'
	@echo 'make test-gpu  the tests that need a CUDA device; skipped without one'
	@echo 'make check   formatting, lint, types, import rules'
	@echo 'make format  rewrite the sources as the formatter wants them'
	@echo 'make bench-quality        quality against the peers: hours, goes on where it stopped'
	@echo 'make bench-quality-small  a tenth of it, in minutes'
	@echo 'make venv    the environment alone, with everything for development'
	@echo 'make clean   remove the environment and what the demo wrote'

demo: $(VENV)/.has-demo
	$(BIN)/python -m examples.demo

test: check unit

unit: $(VENV)/.has-test
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-gpu: $(VENV)/.has-test
	$(BIN)/python -m pytest tests/gpu -rs $(PYTEST_ARGS)

check: $(VENV)/.has-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.has-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-quality: $(VENV)/.has-test
	$(BIN)/python -m benchmarks.quality.run
	$(BIN)/python -m benchmarks.quality.report

bench-quality-small: $(VENV)/.has-test
	$(BIN)/python -m benchmarks.quality.run --small
	$(BIN)/python -m benchmarks.quality.report --rows quality_small

venv: $(VENV)/.has-test

clean:
	rm -rf $(VENV) demo-out

# torch comes by plain pip and alone: its pin decides which of its own requirements are fetched.
$(VENV)/.has-demo $(VENV)/.has-test: $(VENV)/.has-%: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing into $(VENV): a few minutes the first time'
	$(PIP) torch==2.13.0
	$(PIP) -e '.[$(if $(filter test,$*),test,all$(comma)demo)]'
	@touch $@

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'no Python 3.11 or later with venv found; set PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

comma := ,

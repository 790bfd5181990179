# make quickstart   from nothing to an explained recommendation
# make test         linters, types, tests
# make bench        the short set of benchmarks, one table, under 15 minutes
# make env          only the environment

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two test processes of one thread each: more threads than cores make torch collapse.
WORKERS ?= 2

.PHONY: quickstart test lint types check bench env clean

quickstart: $(STAMP)
	$(BIN)/thinkrec run quickstart

test: lint types check

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

check: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

bench: $(STAMP)
	$(BIN)/python -m bench --markdown bench.md

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find thinkrec_cli core artifacts tests -name __pycache__ -type d -prune -exec rm -rf {} +

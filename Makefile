# Everything runs in .venv, which the first target that needs it makes.
#
# PYTHON=python3.12 picks another interpreter; pip takes packages from wherever this machine's
# pip configuration says.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# In a container people are root, which Jupyter wants to be told.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout 170 \
	--nbval-sanitize-with notebooks/sanitize.cfg

.DEFAULT_GOAL := help
.PHONY: help demo test lab lint format benchmarks clean

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | \
		awk -F '|' '{ printf "  make %-11s %s\n", $$1, $$2 }'

demo: $(READY) ## Train the quickstart on this machine and print what the notebook shows
	$(BIN)/pyjob-magic demo

test: lint ## Check everything: style, types, tests, notebooks, a JupyterLab in a browser
	$(BIN)/python -m pytest $(NBVAL)

lab: $(READY) ## Open JupyterLab on the quickstart
	$(BIN)/jupyter lab $(AS_ROOT) notebooks/quickstart.ipynb

lint: $(READY) ## Check style and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Put the code into its style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(READY) ## Measure; tests/benchmarks/README.md says what
	$(BIN)/python tests/benchmarks/imports.py
	$(BIN)/python tests/benchmarks/submit.py
	$(BIN)/python tests/benchmarks/overhead.py
	$(BIN)/python tests/benchmarks/first_line.py
	$(BIN)/python tests/benchmarks/rates.py
	$(BIN)/python tests/benchmarks/watches.py
	$(BIN)/python tests/benchmarks/logs.py
	$(BIN)/python tests/benchmarks/many_jobs.py
	$(BIN)/python tests/benchmarks/live.py
	$(BIN)/python tests/benchmarks/footprint.py
	$(BIN)/python tests/benchmarks/card_page.py
	$(BIN)/python tests/benchmarks/panel_page.py
	$(BIN)/python tests/benchmarks/panel.py
	$(BIN)/python tests/benchmarks/byte_exact.py

clean: ## Remove the environment and all caches
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip install --group needs pip 25.1. The stamp is made last: what fails half-way starts again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'make: this needs Python 3.11 or newer; try make PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo 'make: $(PYTHON) lacks venv; on Debian: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing into .venv; the first time this fetches PyTorch and takes some minutes.'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--group test --editable '.[examples]'
	@touch $@

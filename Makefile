# `make help` lists what there is. Each target makes the virtual environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

CORE_TESTS := $(addprefix tests/, calls checks client display images integrations models property text transport)
OTHER_TESTS := $(addprefix tests/, architecture benchmarks cli clients docs local packaging sim wire)

# mkdocs-material announces its successor at every build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-full lint types docs check bench bench-pacing bench-coalescing bench-integrations bench-local clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

demo: $(VENV)/.cli ## Check a sample of real images against a local ECR, and print what it found
	@$(BIN)/ecr-layers demo

test: $(VENV)/.test ## Run the tests; those of the core must reach each of its branches
	$(BIN)/pytest -q -n 2 --cov --cov-fail-under=100 $(CORE_TESTS)
	$(BIN)/pytest -q -n 2 $(OTHER_TESTS)

test-full: $(VENV)/.dev $(VENV)/.browser ## Run everything, what is heavy included: long property runs, a browser, other clients in environments of their own
	HYPOTHESIS_PROFILE=full $(BIN)/pytest -m "full or not full" --timeout 900

lint: $(VENV)/.dev ## Run the linter and the formatter's check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Run both type checkers, and measure how complete the public types are
	$(BIN)/mypy
	$(BIN)/pyright
	PYTHONPATH=src $(BIN)/pyright --ignoreexternal --verifytypes ecr_layer_client

docs: $(VENV)/.dev ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

check: test lint types docs ## Everything that must pass before a change lands

bench: $(VENV)/.bench ## Measure CPU, memory and time beside other clients (ten minutes), and write docs/performance.md
	$(BIN)/python benchmarks/bench.py --write

bench-pacing: $(VENV)/.test ## Simulate clients that share a quota, and print what they make of it
	$(BIN)/python benchmarks/pacing.py

bench-coalescing: $(VENV)/.test ## Measure single checks that share batches, beside a list that is known beforehand
	$(BIN)/python benchmarks/coalescing.py

bench-local: $(VENV)/.test ## Measure what a check costs the local ECR, beside moto
	$(BIN)/python benchmarks/local_ecr.py

bench-integrations: $(VENV)/.test ## Measure what tables and traces cost, beside the check that they are of
	$(BIN)/python benchmarks/integrations.py

clean: ## Remove the virtual environment and everything built
	rm -rf $(VENV) site build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@echo "making $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.cli: $(VENV)/.made pyproject.toml
	@echo "installing the command line and what it needs (once)"
	@$(PIP) install --editable '.[cli]'
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "installing what the tests need (once)"
	@$(PIP) install --editable '.[arrow,cli,otel]' --group test
	@touch $@

$(VENV)/.bench: $(VENV)/.made pyproject.toml
	@echo "installing what the benchmark measures beside (once)"
	@$(PIP) install --editable . --group bench
	@touch $@

$(VENV)/.browser: $(VENV)/.made pyproject.toml
	@echo "installing what drives a browser, and Debian's Chromium where there is none (once)"
	@$(PIP) install --group browser
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
		|| echo "there is no Chromium, so the tests of the site in a browser are skipped: install it, as by apt-get install chromium"
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo "installing the linters, type checkers and documentation tools (once)"
	@$(PIP) install --editable '.[arrow,cli,otel]' --group dev
	@touch $@

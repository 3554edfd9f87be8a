# `make help` lists the targets. Each target creates the virtual environment that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

CORE_TESTS := $(addprefix tests/, calls checks client display distributed images integrations models property text transfers transport)
OTHER_TESTS := $(addprefix tests/, architecture benchmarks cli clients docs local packaging sim wire)
# Debian's packages of other people's clients and servers. Go brings the sources of AWS's client, too. Spark needs Java.
PROGRAMS := awscli buildah default-jre-headless docker.io golang-go golang-github-aws-aws-sdk-go-dev nodejs npm podman redis-server skopeo

# Silence the announcement that mkdocs-material prints at every build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-full mutants lint types docs generate check bench bench-pacing bench-pacer-constants bench-coalescing bench-integrations bench-local bench-transfers bench-estate clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

demo: $(VENV)/.cli ## Check a sample of real images against a local ECR and print the result
	@$(BIN)/ecr-layers demo

test: $(VENV)/.test ## Run the tests; the core tests must cover every branch of the core
	$(BIN)/pytest -q -n 2 --cov --cov-fail-under=100 $(CORE_TESTS)
	$(BIN)/pytest -q -n 2 $(OTHER_TESTS)

test-full: $(VENV)/.dev $(VENV)/.browser $(VENV)/.programs $(VENV)/.engines ## Run all tests, the slow ones too: long property runs, a browser, other clients in their own environments
	HYPOTHESIS_PROFILE=full $(BIN)/pytest -m "full or not full" --timeout 900

mutants: $(VENV)/.mutants ## Change the code in thousands of small ways and print how many changes the tests notice; resumable
	@$(BIN)/python tests/mutation_testing.py

lint: $(VENV)/.dev ## Run the linter and check the formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.dev ## Run both type checkers and measure how complete the public types are
	$(BIN)/mypy
	$(BIN)/pyright
	PYTHONPATH=src $(BIN)/pyright --ignoreexternal --verifytypes ecr_layer_client

docs: $(VENV)/.dev ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

check: test lint types docs ## Run everything that must pass before a change is merged

generate: $(VENV)/.dev ## Write the files in docs that are made from the code: pictures, schemas, the list of the API
	$(BIN)/python docs/_generate

bench: $(VENV)/.bench ## Compare CPU, memory and time with other clients (ten minutes); writes the page on performance
	$(BIN)/python benchmarks/bench.py --write

bench-pacing: $(VENV)/.test ## Simulate clients that share a quota and print how much of it they use
	$(BIN)/python benchmarks/pacing.py

bench-pacer-constants: $(VENV)/.test ## Print what each constant of the pacer buys, in simulation
	$(BIN)/python benchmarks/pacer_constants.py

bench-coalescing: $(VENV)/.test ## Compare single checks that share batches with one list
	$(BIN)/python benchmarks/coalescing.py

bench-local: $(VENV)/.test ## Compare the cost of a check in the local ECR and in moto
	$(BIN)/python benchmarks/local_ecr.py

bench-transfers: $(VENV)/.test ## Compare the cost of a push, a pull and a copy with what others do for it
	$(BIN)/python benchmarks/transfer_costs.py

bench-estate: $(VENV)/.test $(VENV)/.programs $(VENV)/.engines ## Compare engines that check one table, and limiters of eight processes
	$(BIN)/python benchmarks/estate.py

bench-integrations: $(VENV)/.test ## Compare the cost of tables and traces with that of the check
	$(BIN)/python benchmarks/integrations.py

clean: ## Remove the virtual environment and all build output
	rm -rf $(VENV) site build dist mutants .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required: run make PYTHON=python3.11 ...")'
	@echo "creating $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.cli: $(VENV)/.made pyproject.toml
	@echo "installing the command line (once)"
	@$(PIP) install --editable '.[cli]'
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "installing the test dependencies (once)"
	@$(PIP) install --editable '.[arrow,cli,otel]' --group test
	@touch $@

$(VENV)/.mutants: $(VENV)/.test
	@echo "installing mutmut (once)"
	@$(PIP) install --group mutants
	@touch $@

$(VENV)/.bench: $(VENV)/.made pyproject.toml
	@echo "installing the clients that the benchmark compares with (once)"
	@$(PIP) install --editable . --group bench
	@touch $@

$(VENV)/.browser: $(VENV)/.made pyproject.toml
	@echo "installing playwright, and Chromium if it is missing (once)"
	@$(PIP) install --group browser
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
		|| echo "Chromium was not found, so the browser tests of the site are skipped: install it, for example with apt-get install chromium"
	@touch $@

$(VENV)/.programs: $(VENV)/.made
	@echo "installing the clients that are no Python packages (once): $(PROGRAMS)"
	@{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PROGRAMS) >/dev/null; } \
		|| echo "They could not be installed, so the tests of those that are missing are skipped: as root, run apt-get install $(PROGRAMS)"
	@touch $@

# In an environment of their own, because they narrow the versions of other packages.
$(VENV)/.engines: $(VENV)/.made pyproject.toml
	@echo "installing Dask, Ray and Spark (once)"
	@$(PYTHON) -m venv $(VENV)/engines
	@$(VENV)/engines/bin/python -m pip --disable-pip-version-check --quiet --quiet install --editable '.[dask,ray,spark,redis]' duckdb
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo "installing the linters, type checkers and documentation tools (once)"
	@$(PIP) install --editable '.[arrow,cli,otel]' --group dev
	@command -v npm >/dev/null && npm install --silent --no-save --prefix $(VENV)/npm @mermaid-js/tiny@11 >/dev/null \
		|| echo "npm is missing or failed, so the diagrams of the site load their script from another host"
	@touch $@

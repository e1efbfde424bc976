# The verbs of the project. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test check serve worker bench lock docs clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.ready: requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed (set PYTHON=…)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V)"; exit 1; }
	@echo "Setting up .venv (about a minute) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.graphiql: .venv/.ready backend/graphiql/packages.json
	@$(BIN)/python -m backend.graphiql.install
	@touch $@

setup: .venv/.ready .venv/.graphiql ## make .venv and bring GraphiQL; every other verb does it when needed

demo: setup ## load two groups through the API, consolidate them, print the verdicts, keep serving (NO_SERVE=1 ends)
	@$(BIN)/tanheng demo $(if $(NO_SERVE),--no-serve) $(if $(PORT),--port $(PORT))

test: setup ## run the tests; the last lines say which servers' tests were left out, if any
	@$(BIN)/python -m pytest -n 2 $(ARGS)

check: setup ## linters, types, import contracts, fresh SDL, migrations match tables
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/tanheng schema check
	@$(BIN)/tanheng db check

serve: setup ## start the API with an embedded worker
	@$(BIN)/tanheng serve $(if $(PORT),--port $(PORT))

worker: setup ## start a job worker of its own
	@$(BIN)/tanheng worker

bench: setup ## print the table of figures and write bench.json (ONLY=prefix for some rows)
	@$(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

docs: setup ## write the generated files anew: SDL, error codes, role matrices
	@$(BIN)/tanheng schema print --write
	@$(BIN)/python -m tenants.matrix

lock: .venv/.ready ## lock the dependencies anew, with hashes and without index addresses
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet --upgrade --custom-compile-command "make lock" --output-file requirements/base.txt
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet --upgrade --custom-compile-command "make lock" --output-file requirements/dev.txt

clean: ## remove what setup and the tests made (not the embedded database)
	@rm -rf .venv backend/graphiql/assets .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

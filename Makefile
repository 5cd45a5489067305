# Everything a newcomer needs. Only Python 3.11 to 3.13 with venv must be there; uv and the rest come from the lock.
.DEFAULT_GOAL := help
.PHONY: help demo up down install test coverage lint format docs lock bench chaos clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
WAREHOUSES := duckdb postgres snowflake fabric bigquery databricks
GROUPS := rehearse clients sandbox python $(WAREHOUSES:%=dbt-%) test lint tools
FOLDERS := rehearse sandbox python dbt/duckdb dbt/postgres
CLIENTS := $(wildcard tests/clients/*.txt)  # of the platform, for tests: their needs contradict ours and each other's
DEMO_REQUIREMENTS := $(FOLDERS:%=%/requirements.txt)

export DO_NOT_TRACK := 1
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH VIRTUAL_ENV
UV_INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## Start the example company, run the pipeline, show the marts, stop everything
	@$(BIN)/python -m sandbox demo

up: $(VENV)/.demo  ## Start the example company and leave it running
	@$(BIN)/python -m sandbox up

down:  ## Stop the example company
	@$(BIN)/python -m sandbox down

install: $(VENV)/.all  ## Install everything, with what tests and lint need

test: $(VENV)/.all  ## Run the tests
	@$(BIN)/python -m pytest tests -n auto --dist loadfile --no-loadscope-reorder

coverage: $(VENV)/.all  ## Measure the branches of the language and of planning that tests take; below 95 % fails
	@$(BIN)/python -m coverage run -m pytest -q tests/rehearse tests/test_cases.py -k "not test_run"
	@$(BIN)/python -m coverage report

lint: $(VENV)/.all  ## Check style and types, of the SQL too
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt/commerce dbt/orchestra_metadata

format: $(VENV)/.all  ## Format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/sqlfluff fix --quiet dbt/commerce dbt/orchestra_metadata

docs: $(VENV)/.all  ## Write the parts of docs/ that come from the code, and the site of the models, docs/dbt/index.html
	@$(BIN)/python docs/generate.py
	@cd dbt/duckdb && DUCKDB_PATH=:memory: ../../$(BIN)/dbt --quiet docs generate --static --empty-catalog --no-compile
	@mkdir -p docs/dbt && cp dbt/duckdb/target/static_index.html docs/dbt/index.html

lock: $(BIN)/uv  ## Resolve pyproject.toml anew; UPGRADE=--upgrade takes newer versions
	$(call compile,$(GROUPS),requirements.lock) $(UPGRADE)
	$(call compile,rehearse,rehearse/requirements.txt) --constraint requirements.lock
	$(call compile,sandbox,sandbox/requirements.txt) --constraint requirements.lock
	$(call compile,python,python/requirements.txt) --constraint requirements.lock
	$(foreach warehouse,$(WAREHOUSES),$(call compile,dbt-$(warehouse),dbt/$(warehouse)/requirements.txt) --constraint requirements.lock;)

# $(call compile,GROUPS,FILE): hashes, every platform, and no word of where packages were fetched
compile = $(BIN)/uv pip compile --quiet pyproject.toml $(1:%=--group %) --universal --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --output-file $(2)

bench: $(VENV)/.all  ## Measure what the README publishes
	@$(BIN)/python benchmarks/startup.py
	@$(BIN)/python benchmarks/validate.py
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/dbt_host.py
	@$(BIN)/python benchmarks/api.py

chaos: $(VENV)/.all  ## Kill rehearse at random points of 200 runs, and compare what comes of them
	@$(BIN)/python tests/chaos/harness.py 200

clean:  ## Remove the environment, all local state and the default warehouse (stops the example company)
	@if [ -x $(BIN)/python ] && [ -d .sandbox ]; then $(BIN)/python -m sandbox reset; fi
	rm -rf $(VENV) .rehearse .dlt/.pipelines warehouse.duckdb warehouse.duckdb.* dbt/*/target dbt/*/logs
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache

$(BIN)/uv:
	@if [ -z "$(PYTHON)" ]; then echo "No Python 3.11 to 3.13 with venv found. Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; fi
	@echo "Making $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV)
	@awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $(VENV)/uv.txt

$(VENV)/.demo: $(BIN)/uv $(DEMO_REQUIREMENTS)
	@echo "Installing what the demo needs" >&2
	@$(UV_INSTALL) $(DEMO_REQUIREMENTS:%=--requirements %)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.all: $(VENV)/.demo requirements.lock $(CLIENTS)
	@echo "Installing what tests and lint need" >&2
	@$(UV_INSTALL) --requirements requirements.lock
	@for file in $(CLIENTS); do \
		place=$(VENV)/clients/$$(basename $$file .txt) && \
		$(BIN)/uv venv --quiet --clear --python $(BIN)/python $$place && \
		$(BIN)/uv pip install --quiet --python $$place/bin/python --require-hashes --no-deps --requirements $$file || exit; done
	@touch $@

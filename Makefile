# The commands of this project. `make demo` and `make test` set up all they need by themselves.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DLT    := benchmarks/.venv-dlt
AUDIT  := .mlc/audit
BY_FORM := --disable-plugin KeywordDetector --disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes

.PHONY: help demo ui test lint format bench prove lock clean

help:                    ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/runtime    ## Load a sandbox ERP into every target, let a day pass, load again
	@$(BIN)/mlc demo

ui: $(VENV)/runtime      ## Open Dagster's UI on what the demo made
	@$(BIN)/mlc ui

test: lint               ## Lint, types, walls and all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev secrets ## Lint, format, types, walls and secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

# Tests and sandboxes make secrets up: there only those are found that have a real one's form.
secrets: $(VENV)/dev     ## Look for secrets in every tracked file
	@git ls-files -z -- . ':!tests' ':!mlc_sandbox' ':!benchmarks' ':!*.lock' | xargs -0 $(BIN)/detect-secrets-hook
	@git ls-files -z -- tests mlc_sandbox benchmarks ':!*.lock' | xargs -0 $(BIN)/detect-secrets-hook $(BY_FORM)

audit:                   ## Ask public advisories about the locked dependencies (needs the network)
	@test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install --quiet pip-audit; }
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip -r docker/requirements.lock

format: $(VENV)/dev      ## Put all code into the common format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(VENV)/dev $(DLT)/ready  ## Measure beside two floors and dlt; or ROWS="deliver startup", SCALE=0.1
	$(BIN)/python -m benchmarks.run $(ROWS) --scale $(or $(SCALE),1) $(if $(ROWS)$(SCALE),,--write)

prove: $(VENV)/dev       ## Run the campaigns of docs/reliability.md; or SEED=123 ROUNDS=1 ENGINE=0, or LONG=1
	$(BIN)/python -m tests.prove --seed $(or $(SEED),1) $(if $(POSTGRES),--postgres) $(if $(AT_ONCE),--at-once $(AT_ONCE)) \
		--engine $(or $(ENGINE),$(if $(LONG),1000,200)) --rounds $(or $(ROUNDS),$(if $(LONG),200,4))

lock:                    ## Compile the lock files from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet -o requirements.lock
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet -c requirements.lock -o requirements-dev.lock
	uv pip compile pyproject.toml --extra containers --python-version 3.12 --python-platform linux --generate-hashes \
		--no-emit-index-url --no-header --quiet -c requirements.lock -o docker/requirements.lock
	uv pip compile benchmarks/dlt-requirements.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet -o benchmarks/dlt-requirements.lock

# What else lies in .mlc may be an installation's: its database, its lake, the key of its vault.
clean:                   ## Remove the environments, the demo and what builds left
	rm -rf $(VENV) $(DLT) $(AUDIT) .mlc/demo .mypy_cache .ruff_cache .pytest_cache build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: $(VENV)/bin/python requirements.lock pyproject.toml
	@echo "Installing the locked dependencies into $(VENV) ..."
	$(INSTALL) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.lock
	$(INSTALL) -r requirements-dev.lock
	@touch $@

$(DLT)/ready: $(VENV)/bin/python benchmarks/dlt-requirements.lock
	$(BIN)/python -m venv $(DLT)
	$(DLT)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r benchmarks/dlt-requirements.lock
	@touch $@

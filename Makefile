# Two commands are enough on a fresh machine: `make run` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := PYTHON=$(PYTHON) sh scripts/setup
INPUTS := pyproject.toml scripts/setup

.PHONY: run check unit test bench lock screenshots clean

run: $(VENV)/.run
	$(BIN)/python -m mediq --role all

# Style, types and the import contracts.
check: $(VENV)/.unit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests that need no server and no browser.
unit: $(VENV)/.unit
	$(BIN)/python -m pytest tests/unit -n auto

# Everything. The servers that the tests need are installed by the set-up and started by the tests.
test: $(VENV)/.dev
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n 3

# Each figure beside its references in the same run; `make bench GROW=1` shows how the cost grows with the work.
bench: $(VENV)/.bench
	$(BIN)/python -m bench $(if $(GROW),--grow)

# Write the lock files after a change of the dependencies; `make lock UPGRADE=1` takes the newest releases.
LOCK := uv pip compile pyproject.toml --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-annotate --quiet \
	--no-config --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: $(VENV)/.unit
	$(BIN)/$(LOCK) --output-file requirements.lock
	$(BIN)/$(LOCK) --extra dev --extra bench --constraint requirements.lock --output-file requirements-dev.lock

# The README's pictures, of a clinic whose patients do not exist.
screenshots: $(VENV)/.dev
	$(BIN)/python scripts/screenshots

# A stamp is written last, so an interrupted set-up starts over; a changed input sets up anew.
$(VENV)/.run: $(INPUTS) requirements.lock
	$(SETUP) run

$(VENV)/.unit: $(INPUTS) requirements-dev.lock
	$(SETUP) unit

$(VENV)/.dev: $(INPUTS) requirements-dev.lock
	$(SETUP) dev

$(VENV)/.bench: $(INPUTS) requirements-dev.lock
	$(SETUP) bench

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Two commands are enough on a fresh machine: `make run` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test bench check screenshots clean

run: $(VENV)/.run
	$(BIN)/python -m mediq --role all

test: $(VENV)/.dev
	$(BIN)/ruff check mediq tests bench
	$(BIN)/ruff format --check mediq tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 3

# Every figure beside its references in the same run; `make bench GROW=1` shows what the work costs as it grows.
bench: $(VENV)/.bench
	$(BIN)/python -m bench $(if $(GROW),--grow)

# The README's pictures, of a clinic whose patients do not exist.
screenshots: $(VENV)/.dev
	$(BIN)/python scripts/screenshots

# A stamp is written last, so an interrupted set-up starts over; a changed pyproject.toml sets up anew.
$(VENV)/.run: pyproject.toml scripts/setup
	PYTHON=$(PYTHON) sh scripts/setup run

$(VENV)/.dev: pyproject.toml scripts/setup
	PYTHON=$(PYTHON) sh scripts/setup dev

$(VENV)/.bench: pyproject.toml scripts/setup
	PYTHON=$(PYTHON) sh scripts/setup bench

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

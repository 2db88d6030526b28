# Everything a contributor types. Needs Python 3.11 or newer, git and make; the rest comes into .venv.
.SILENT:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help demo test test-core test-postgres lint format bench soak clean environment

BIN := .venv/bin
QUIETLY := tools/quietly.sh
HISTORIES := 20000

help:
	echo "make demo          the real pipeline: publish, quarantine, nothing to do, a broken change held back"
	echo "make test          all tests, in minutes"
	echo "make test-core     the tests with the core dependencies only, each in its lowest version"
	echo "make test-postgres the runs' and processes' tests with their metastores in PostgreSQL"
	echo "make lint          ruff, import-linter, mypy"
	echo "make format        let ruff mend what it can"
	echo "make bench ROW=F5  one row of the performance table, or all without ROW"
	echo "make soak          the full numbers of histories, kills and races; an hour or so"
	echo "make clean         remove environments, caches and what demo and bench left"

environment:
	tools/environment.sh .venv -e '.[dev]'

demo: environment
	$(BIN)/python examples/flights/demo.py

test: environment
	echo "Testing ..."
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-core: environment
	$(BIN)/python tools/lowest.py >.venv/lowest.txt
	tools/environment.sh .venv-core -e . -c .venv/lowest.txt pytest hypothesis
	echo "Testing with the core dependencies only, each in its lowest version ..."
	.venv-core/bin/python -m pytest

test-postgres: environment
	echo "Testing runs and processes with their metastores in PostgreSQL ..."
	$(BIN)/python -m pytest -n 2 --dist loadfile --metastore=postgres tests/runs tests/lake/test_processes.py

lint: environment
	$(QUIETLY) "ruff check" $(BIN)/ruff check --quiet
	$(QUIETLY) "ruff format" $(BIN)/ruff format --check --quiet
	$(QUIETLY) "import-linter" $(BIN)/lint-imports --no-cache
	$(QUIETLY) "mypy --strict" $(BIN)/mypy

format: environment
	$(BIN)/ruff check --quiet --fix || true
	$(BIN)/ruff format --quiet

bench: environment
	$(BIN)/python -m benchmarks $(ROW)

soak: environment
	echo "$(HISTORIES) random histories through the pure decisions ..."
	$(BIN)/python -m headgate.testing.oracle --histories $(HISTORIES)
	echo "The full numbers of kills, races and histories on a real lake ..."
	$(BIN)/python -m pytest -m soak

clean:
	rm -rf .venv .venv-core build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf demo benchmarks/work examples/flights/data examples/flights/.headgate examples/flights/lake
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

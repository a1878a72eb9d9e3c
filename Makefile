# What people and CI run. `make help` lists it.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# two processes, each with servers of its own; a module's tests stay together: make test SIDE_BY_SIDE= for one
SIDE_BY_SIDE ?= -n 2 --dist loadfile

.PHONY: help setup demo up check unit test coverage test-data test-slow test-long pythons lint format typecheck lock docs bench bench-start bench-autodw train-autodw clean

help:            ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(STAMP)  ## make .venv with everything in it
	@$(BIN)/python -m compileall -q platform flows connectors  # a command starts in half the time

$(STAMP): requirements.lock pyproject.toml scripts/setup.sh scripts/make_venv.sh scripts/prefect_template.sh
	@scripts/setup.sh "$(PYTHON)" "$(VENV)"
	@touch $@

demo: setup      ## the whole platform on real data, then a summary
	@$(BIN)/dataplatform demo

up: setup        ## servers, deployments and Prefect's UI; Ctrl-C stops all
	@$(BIN)/dataplatform up

check: lint unit ## for every save: lint and the tests that need no server

unit: setup      ## the tests that need no server, properties on few examples; seconds
	@$(BIN)/python -m pytest -q tests/unit --hypothesis-profile=quick

test: setup      ## fast tests, on real servers
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

# in one process: of several, each that ends deletes .coverage, also when the first is just joining what they found
coverage: setup  ## the fast tests, and what they leave uncovered
	@$(BIN)/python -m pytest --cov=dataplatform --cov-report=

test-data: setup ## the fast tests but those of Prefect's server, schedules and workers: on another Python
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not long and not slow and not prefect"

test-slow: setup ## what takes ten seconds and more: schedules, kills, other tools; twenty minutes
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m slow --timeout=1800

test-long: setup ## everything, an hour
	@$(BIN)/python -m pytest -m "long or slow or not long" --timeout=7200 --hypothesis-profile=exhaustive

bench: setup     ## the SCD2 workload beside a hand-written limit, dlt and dbt; REST beside dlt's
	@test -d benchmarks/.venv || ($(BIN)/python -m venv benchmarks/.venv && \
		benchmarks/.venv/bin/pip install -q -r benchmarks/peers.txt)
	@BENCH_PEERS=$(CURDIR)/benchmarks/.venv/bin/python $(BIN)/python benchmarks/scd2.py
	@BENCH_PEERS=$(CURDIR)/benchmarks/.venv/bin/python $(BIN)/python benchmarks/rest.py

bench-autodw: setup ## auto_dw's verdicts on public schemas by what was learned without them; half an hour
	@$(BIN)/pip install -q -r benchmarks/train.txt
	@$(BIN)/python benchmarks/autodw.py

train-autodw: setup ## learns auto_dw's judgement anew from public schemas; some minutes
	@$(BIN)/pip install -q -r benchmarks/train.txt
	@$(BIN)/python benchmarks/train_autodw.py

lint: setup      ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup    ## let ruff put the code in order
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

docs: setup      ## regenerate the reference pages and the JSON Schema
	@$(BIN)/python scripts/generate_docs.py

pythons: setup   ## set-up and a tiny source on every Python here, test-data on the oldest, unit on the newest
	@$(BIN)/python scripts/try_pythons.py --test-ends

bench-start: setup ## what a command takes before it does anything
	@$(BIN)/python benchmarks/start.py

lock: setup      ## requirements.lock anew from pyproject.toml, for every Python (UPGRADE=1: newest versions)
	@scripts/lock.sh "$(VENV)"

clean:           ## remove .venv and caches (not your data)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage build *.egg-info platform/*.egg-info

# Everything here works on a machine that has only make and Python 3.11 or newer; the first call sets `.venv` up.
#
#   make demo     a team of agents reviews this package against the loopback emulator; needs no key
#   make test     the test-suite
#   make check    format, lint, types, import contracts, then the test-suite; warnings are errors
#   make format   rewrite the files as `make check` wants them
#   make docs     write docs/rules.md from the rules
#   make clean    remove what the targets above made

VENV := .venv
BIN := $(VENV)/bin
DEMO_DB := .agentcache/demo.db

# The first Python that is new enough; `make PYTHON=/path/to/python test` names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

PIP_INSTALL = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check static format docs clean
.NOTPARALLEL:

demo: $(VENV)/ready-to-run
	@rm -f $(DEMO_DB) $(DEMO_DB)-shm $(DEMO_DB)-wal
	$(BIN)/agentcache run agents/review.py:review agentcache --emulate --db sqlite+aiosqlite:///$(DEMO_DB)

# Hundreds of processes are started, and without bytecode each compiles all that it imports.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/ready-to-test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: static test

static: $(VENV)/ready-to-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready-to-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/ready-to-run
	$(BIN)/agentcache rules --format md > docs/rules.md

clean:
	rm -rf $(VENV) .agentcache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The build backend comes from the same pins as everything else, hence no build isolation.
$(VENV)/ready-to-run: $(BIN)/pip pyproject.toml constraints.txt
	$(PIP_INSTALL) hatchling
	$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/ready-to-test: $(VENV)/ready-to-run
	$(PIP_INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

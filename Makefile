# Everything here works on a machine that has only make and Python 3.11 or newer; the first call sets `.venv` up.
#
#   make demo     a team of agents reviews this package against the loopback emulator; needs no key
#   make test     the test-suite
#   make check    format, lint, types, import contracts, then the test-suite; warnings are errors
#   make format   rewrite the files as `make check` wants them
#   make docs     write what docs/ has from the code: rules, command line, reference, the picture of a layout
#   make outputs  write what the commands of README and docs print now into them
#   make demo-table  run the demo and put its table into the README
#   make clean    remove what the targets above made

VENV := .venv
BIN := $(VENV)/bin
DEMO_DB := .agentcache/demo.db

# The first Python that is new enough; `make PYTHON=/path/to/python test` names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

PIP_INSTALL = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check static format docs outputs demo-table clean
.NOTPARALLEL:

demo: $(VENV)/ready-to-run
	@rm -f $(DEMO_DB) $(DEMO_DB)-shm $(DEMO_DB)-wal
	$(BIN)/agentcache run agents/review.py:review agentcache --emulate --db sqlite+aiosqlite:///$(DEMO_DB)

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

docs: $(VENV)/ready-to-test
	$(BIN)/agentcache rules --format md > docs/rules.md
	$(BIN)/agentcache show agents/review.py:reviewer --format json | $(BIN)/python docs/making/layout_picture.py > docs/layout.svg
	$(BIN)/python docs/making/command_line.py
	$(BIN)/python -m docs.making.reference

outputs: $(VENV)/ready-to-test
	UPDATE_DOCS=1 $(BIN)/python -m pytest --quiet tests/docs

demo-table: $(VENV)/ready-to-run
	COLUMNS=100 NO_COLOR=1 $(MAKE) --no-print-directory demo > $(VENV)/demo.txt
	$(BIN)/python docs/making/demo_table.py < $(VENV)/demo.txt

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

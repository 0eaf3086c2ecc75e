# Everything here works on a machine that has only make and Python 3.11 or newer; the first call sets `.venv` up.
#
#   make demo     a team of agents reviews this package against the loopback emulator; needs no key
#   make test     the test-suite, but for some tests that take many seconds each
#   make check    format, lint, types, import contracts, dependencies, then all tests; warnings are errors
#   make cancellation    the long form of two proofs: runs cancelled at every suspension, SQLite under stress
#   make chaos    10,000 runs while a fifth of all calls go wrong; SEED=7 for another storm
#   make coverage the branches that tests take of the pure rooms; fails under 95 % of any room
#   make mutants  changes to planner, money and emulated cache that no example notices: docs/mutants.md
#   make format   rewrite the files as `make check` wants them
#   make docs     write what docs/ has from the code: rules, command line, reference, the picture of a layout
#   make outputs  write what the commands of README and docs print now into them
#   make demo-table  run the demo and put its table into the README
#   make bill     write build/bill-of-materials.json: what users install, with licences (CycloneDX)
#   make audit    ask a vulnerability database about every pinned version; needs the network, and says so without it
#   make test-oldest, make test-newest
#                 the test-suite with the lowest versions that pyproject.toml allows, and with the newest there are
#   make clean    remove what the targets above made

VENV := .venv
BIN := $(VENV)/bin
DEMO_DB := .agentcache/demo.db
SEED := 1
ERRANDS := 5000
PURE_TESTS := $(addprefix tests/,prompt accounting emulator lint runtime toolsets tools workflow cli/test_lint.py \
	cli/test_lint_log.py cli/test_lint_python.py testing/test_prompt_lint.py security/test_terminal.py)
# Recordings that tests read at run time, where they are.
SHARED := $(or $(AGENTCACHE_SHARED),$(abspath ../shared))

# The first Python that is new enough; `make PYTHON=/path/to/python test` names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

PIP_INSTALL = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check static format docs outputs demo-table bill audit test-oldest test-newest cancellation chaos coverage mutants clean
.NOTPARALLEL:

demo: $(VENV)/ready-to-run
	@rm -f $(DEMO_DB) $(DEMO_DB)-shm $(DEMO_DB)-wal
	$(BIN)/agentcache run agents/review.py:review agentcache --emulate --db sqlite+aiosqlite:///$(DEMO_DB)

# Hundreds of processes are started, and without bytecode each compiles all that it imports.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/ready-to-test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(SLOW_TOO)

cancellation: $(VENV)/ready-to-test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --long tests/cancellation tests/stores/test_processes.py \
		tests/toolsets/test_cancelled_servers.py

chaos: $(VENV)/ready-to-test
	$(BIN)/python -m pytest tests/chaos/test_chaos.py::test_a_long_storm --numprocesses 0 --chaos-errands $(ERRANDS) --chaos-seed $(SEED)

check: SLOW_TOO = --slow
check: static test

static: $(VENV)/ready-to-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pip --disable-pip-version-check check
	$(BIN)/python -m dependencies.bill_of_materials build/bill-of-materials.json

# No part of CI: it runs most of the suite once more, traced, which takes far more than the minute that CI could spare.
coverage: $(VENV)/ready-to-test
	$(BIN)/coverage erase
	CI=1 AGENTCACHE_SHARED=$(SHARED) $(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile $(PURE_TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet -o .coverage.json
	$(BIN)/python tests/pure_coverage.py .coverage.json

# An hour on two busy cores. What is in `mutants/` is tried again where its function changed; `make clean` forgets it all.
mutants: $(VENV)/ready-to-mutate
	CI=1 AGENTCACHE_SHARED=$(SHARED) $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

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

bill: $(VENV)/ready-to-test
	$(BIN)/python -m dependencies.bill_of_materials build/bill-of-materials.json

# Its tool is no tool of ours: it has an environment of its own, and is as new as can be.
audit: .venv-audit/bin/pip
	.venv-audit/bin/python -m pip install --quiet --quiet --disable-pip-version-check --upgrade pip-audit
	.venv-audit/bin/python -m dependencies.audit constraints.txt

# Resolved anew each time, since what is newest changes without us; nothing is written down.
test-oldest: RESOLUTION = lowest-direct
test-newest: RESOLUTION = highest
test-oldest test-newest: test-%: .venv-%/bin/pip
	.venv-$*/bin/python -m pip install --quiet --quiet --disable-pip-version-check uv
	.venv-$*/bin/uv pip install --quiet --python .venv-$* --resolution $(RESOLUTION) --upgrade --editable '.[dev]'
	@test $* = newest || .venv-$*/bin/python -m dependencies.bounds
	.venv-$*/bin/python -m pytest --numprocesses auto --dist loadfile --slow -m 'not pinned'

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest .venv-audit .agentcache .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist mutants

$(BIN)/pip .venv-oldest/bin/pip .venv-newest/bin/pip .venv-audit/bin/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=..." >&2; exit 1; }
	"$(PYTHON)" -m venv $(@:/bin/pip=)

# The build backend comes from the same pins as everything else, hence no build isolation.
$(VENV)/ready-to-run: $(BIN)/pip pyproject.toml constraints.txt
	$(PIP_INSTALL) hatchling
	$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/ready-to-test: $(VENV)/ready-to-run
	$(PIP_INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

$(VENV)/ready-to-mutate: $(VENV)/ready-to-test
	$(PIP_INSTALL) --constraint constraints-mutants.txt mutmut
	@touch $@

# What a person runs here. Every target makes .venv first if it is not there (see .ci/venv); PYTHON=... names another Python.
.POSIX:
.SUFFIXES:

PYTHON ?= python3
RUN = .venv/bin/python -m
CODE = runtime debugger defender channels
LOCK = --universal --python-version 3.11 --extra dev --strip-extras --generate-hashes --no-emit-index-url --no-header --no-annotate

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

demo: venv ## show what twinstep does, with recorded answers and no account
	@.venv/bin/twinstep demo

test: venv ## run the tests
	@$(RUN) pytest -q

check: format-check lint async types imports fragments ## format, lint, types, imports

format-check: venv
	@echo "== format"
	@$(RUN) ruff format --check --quiet .

lint: venv
	@echo "== lint"
	@$(RUN) ruff check --quiet .

# Of ASYNC9, habits that Trio asks of libraries, the product keeps one (900: no async generators). ASYNC114 wants a list
# of all startable functions on this line; ASYNC113, which would read it, does without. ASYNC240: see pyproject.toml.
# ASYNC124: handlers of methods stand in tables and are awaited, whether or not one of them waits.
# ASYNC127 wants httpx2 in place of httpx: docs/adr/0002-libraries.md.
async: venv
	@echo "== async"
	@find $(CODE) -name '*.py' -exec .venv/bin/flake8-async --disable=ASYNC114,ASYNC124,ASYNC127,ASYNC240,ASYNC910,ASYNC911,ASYNC912,ASYNC913 {} +
	@find tests docs -name '*.py' -exec .venv/bin/flake8-async --disable=ASYNC114,ASYNC124,ASYNC127,ASYNC240,ASYNC9 {} +

types: venv
	@echo "== types"
	@$(RUN) mypy --no-error-summary

imports: venv
	@echo "== imports"
	@.venv/bin/lint-imports --no-cache > .venv/imports.log || { cat .venv/imports.log; exit 1; }

fragments: venv
	@echo "== news fragments"
	@$(RUN) towncrier build --draft --version next > .venv/fragments.log 2>&1 || { cat .venv/fragments.log; exit 1; }

format: venv ## rewrite the code in the one format
	@$(RUN) ruff check --quiet --fix-only .
	@$(RUN) ruff format .

bench: venv ## measure; figures depend on the machine
	@$(RUN) tests.benchmarks

acceptance: venv ## run the harnesses of ../shared against this checkout
	@.venv/bin/python tests/acceptance/run.py

acceptance-ci: venv
	@.venv/bin/python tests/acceptance/run.py --ci

crash: venv ## kill the gateway again and again, and see that nothing acknowledged is lost (CRASH="--kills 1000")
	@$(RUN) tests.acceptance.gateway.crash $(CRASH)

loss: venv ## lose debuggers at random moments, 1,000 times: is a session left standing (LOSS="--trials 1000 --seed 0")
	@$(RUN) tests.faults.lost_debuggers $(LOSS)

journals: venv ## replay 10,000 random journals, and see that a changed one is refused (JOURNALS="--journals 10000 --seed 0")
	@$(RUN) tests.faults.random_journals $(JOURNALS)

ledger: venv ## kill writers of the ledger 1,000 times: is anything acknowledged lost (LEDGER="--kills 1000 --seed 0")
	@$(RUN) tests.faults.ledger_kills $(LEDGER)

defender: venv ## measure the defender against its goals and write its pages (DEFENDER="--agentdojo PYTHON")
	@$(RUN) tests.acceptance.defender --write $(DEFENDER)

soak: venv ## 100,000 turns, then 10,000 idle clients: does the gateway keep its memory and its pace (SOAK=, IDLE=)
	@$(RUN) tests.acceptance.gateway.soak $(SOAK)
	@$(RUN) tests.acceptance.gateway.idle $(IDLE)

mutation: venv ## change the code on purpose and see that a test fails
	@$(RUN) tests.mutation

docs: venv ## write the generated reference pages anew
	@.venv/bin/python docs/generate.py

changelog: venv ## move the news fragments into CHANGELOG.md
	@$(RUN) towncrier build --yes

lock: ## solve constraints.txt anew; LOCK_ARGS=--upgrade takes newer versions
	@rm -rf build/lock && mkdir -p build && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install -qq --disable-pip-version-check uv==0.13.8
	@cp constraints.txt build/lock/solved.txt 2>/dev/null || :
	@build/lock/bin/uv pip compile --quiet $(LOCK) $(LOCK_ARGS) --output-file build/lock/solved.txt pyproject.toml
	@{ echo "# Made by 'make lock' from pyproject.toml: every package, with the hashes of all files of its release. Do not edit."; \
	   grep -v '^#' build/lock/solved.txt; } > build/lock/constraints.txt
	@mv build/lock/constraints.txt constraints.txt && rm -rf build/lock

venv:
	@PYTHON="$(PYTHON)" .ci/venv

clean: ## remove what was made here
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo test check defender format-check lint async types imports fragments format bench acceptance acceptance-ci crash \
	journals ledger loss soak mutation docs changelog lock venv clean

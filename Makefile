# Each target sets up what it needs, in environments of its own under .venv/; `make help` lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Tests start hundreds of programs, each of which would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

VENVS ?= .venv
DEMO := $(VENVS)/demo
TEST := $(VENVS)/test
MILVUS := $(VENVS)/milvus
TRACKERS := $(VENVS)/trackers
PEERS := $(VENVS)/peers
# One more than a small machine has cores: tests wait for browsers, programs and disks.
JOBS ?= 3
# Where tests write: in memory, if there is room and programs may run there, for a disk would make them wait thousands of times.
SCRATCH ?= $(shell grep -s '^[^ ]* /dev/shm ' /proc/mounts | grep -qv noexec \
	&& test "$$(df --output=avail -B 1M /dev/shm | tail -n 1)" -ge 4096 && echo /dev/shm)
SEED ?= 0
# The file that takes longest comes first.
FAULTS := tests/faults/test_ray_cluster.py
FAULTS += $(filter-out $(FAULTS),$(wildcard tests/faults/test_*.py))
TRIED = --seed '$(SEED)' $(foreach suite,$(TRIES),--tries '$(suite)') $(if $(ONLY),-k '$(ONLY)')
AUDIT := $(VENVS)/audit
DOCS := $(VENVS)/docs
REQUIREMENTS := pyproject.toml constraints.txt requirements/base.txt requirements/dev.txt

# The first interpreter that is new enough and can make environments; `make PYTHON=/path/to/python3 ...` overrides it.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { command -v $$python; break; }; done)

# $(call locked,FILE): an environment of exactly the releases in requirements/FILE.txt, whose files must have its hashes.
# Modules are compiled when they are first imported: to compile all, most of which never are, would take a third of the time.
define locked
	@test -n '$(PYTHON)' || { echo 'Lookalike needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: apt install python3-venv), and found none; name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)' >&2; exit 1; }
	@'$(PYTHON)' -m venv --clear '$(@D)'
	@'$(@D)/bin/python' -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps -r requirements/$(1).txt
endef

# $(call install,FILE,EXTRAS,WORDS): this package in place, after what is locked; what has no hashes is limited by constraints.txt.
define install
	@echo 'Setting up $(@D) ($(3)), once' >&2
	$(call locked,$(1))
	@'$(@D)/bin/python' -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt -e '.$(2)'
	@touch '$@'
endef

# $(call scratch,PYTEST): pytest, with its files in a folder of SCRATCH that goes when it ends; without SCRATCH where pytest has them.
scratch = $(if $(SCRATCH),scratch=$$(mktemp -d '$(SCRATCH)/lookalike-tests-XXXXXX') && trap 'rm -rf "$$scratch"' EXIT INT TERM && $(1) --basetemp="$$scratch/files",$(1))

# $(call quick,TESTS): the quick tests of these, in JOBS processes, each of which takes a file at a time, in their order.
QUICK := not slow and not milvus and not gpu and not container and not trackers
quick = $(call scratch,OMP_NUM_THREADS=1 '$(TEST)/bin/python' -m pytest -q -n '$(JOBS)' --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m '$(QUICK)' $(1))

.PHONY: help
help: ## Show the targets, a line each
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: $(DEMO)/installed ## Install the base package, draw a small catalogue, search it and write demo/: about a minute
	@'$(DEMO)/bin/lookalike' demo --out demo

.PHONY: serve
serve: $(DEMO)/installed ## The demo, and then its page and API on http://127.0.0.1:8000/
	@'$(DEMO)/bin/lookalike' demo --out demo --serve

.PHONY: test
test: $(TEST)/installed ## Install everything, PyTorch included, and run the tests of the code, in JOBS=3 processes
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory clients/typescript/node_modules/installed; fi
	@$(call quick,tests/unit tests/contract tests/property tests/golden tests/surface)

.PHONY: test-page
test-page: $(TEST)/installed ## Run the tests of the page in Chromium
	@$(call quick,tests/browser)

.PHONY: test-examples
test-examples: $(TEST)/installed ## Run what the docs and examples/ show: commands, requests, programs, notebooks
	@$(call quick,--dist worksteal tests/examples)

.PHONY: coverage
coverage: $(TEST)/installed ## Run the quick tests of all folders, and show which lines and branches none of them reached
	@mkdir -p build/coverage
	@$(call quick,--cov --cov-report=term --cov-report=html)

.PHONY: test-slow
test-slow: $(TEST)/installed ## Run the slow tests
	@'$(TEST)/bin/python' -m pytest -q -m slow

.PHONY: test-faults
test-faults: $(TEST)/installed ## Run the fault suites with few tries, or with many: LONG=1; TRIES='kills=50 damage-log=1000', SEED=1, ONLY=name
	@$(if $(LONG),'$(TEST)/bin/python' -m pytest -q -m 'not milvus' --timeout 7200 --long $(TRIED) tests/faults,$(call quick,$(TRIED) $(if $(TRIES),--timeout 7200) $(FAULTS)))

.PHONY: test-milvus
test-milvus: $(TEST)/installed $(MILVUS)/installed ## Run the tests of galleries on a Milvus server, which it installs
	@VENVS='$(VENVS)' '$(TEST)/bin/python' -m pytest -q -m milvus

.PHONY: test-trackers
test-trackers: $(TRACKERS)/installed ## Run the tests of training with MLflow, W&B and Aim, which it installs
	@VENVS='$(VENVS)' '$(TEST)/bin/python' -m pytest -q -m trackers tests/trackers

.PHONY: test-gpu
test-gpu: $(TEST)/installed ## Run the tests that need a CUDA GPU
	@'$(TEST)/bin/python' -m pytest -q -m gpu tests/gpu

.PHONY: milvus-server
milvus-server: $(MILVUS)/installed ## Install the Milvus server that the tests talk to, in an environment of its own

.PHONY: test-container
test-container: $(TEST)/installed ## Build the container image with Podman, and test it; where no registry is reached, as root on Debian's debootstrap
	@'$(TEST)/bin/python' -m pytest -q -m container tests/container

.PHONY: lint
lint: $(TEST)/installed ## Check format, style and types
	@'$(TEST)/bin/ruff' format --check
	@'$(TEST)/bin/ruff' check
	@'$(TEST)/bin/mypy'
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory lint-page; \
	elif test -n "$$LOOKALIKE_NEEDS_NPM"; then echo 'There is no npm, which the page is checked with' >&2; exit 1; \
	else echo 'The JavaScript of the page was not checked, for there is no npm; on Debian and Ubuntu: apt install npm' >&2; fi

.PHONY: lint-page
lint-page: node_modules/installed ## Check format and types of the JavaScript of the page: needs npm
	@npm run --silent lint

.PHONY: client
client: $(TEST)/installed clients/typescript/node_modules/installed ## Generate the TypeScript client from the API, build and test it: needs npm
	@'$(TEST)/bin/python' tools/openapi.py clients/typescript/openapi.json
	@cd clients/typescript && npm run --silent generate && npm run --silent build
	@'$(TEST)/bin/python' -m pytest -q tests/surface/test_typescript_client.py

.PHONY: format
format: $(TEST)/installed ## Format the code and mend what the linter can mend
	@'$(TEST)/bin/ruff' format
	@'$(TEST)/bin/ruff' check --fix
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node_modules/installed && npm run --silent format; fi

# Engines that cannot be installed are told in the page; the others are measured.
.PHONY: bench
bench: $(TEST)/installed ## Measure what docs/performance.md tells, beside other engines, and write it: 25 minutes; ONLY='peers serving' for parts
	@$(MAKE) --no-print-directory '$(PEERS)/installed' || echo 'The engines of others are not installed; measuring without them' >&2
	@'$(TEST)/bin/python' bench/performance.py --peers '$(PEERS)/bin/python' $(if $(ONLY),--only $(ONLY))

.PHONY: bench-peers
bench-peers: $(TEST)/installed $(PEERS)/installed ## Install the engines that `make bench` compares with, and check each on 2,000 rows: needs a C++ compiler
	@'$(TEST)/bin/python' bench/peers/measure.py --python '$(PEERS)/bin/python' --rows 2000 --check

.PHONY: bench-scale
bench-scale: $(TEST)/installed ## Measure galleries of up to 5,000,000 rows: 11 minutes, 30 GB of disk, 16 GB of memory; SIZES='139709 1000000': 3
	@'$(TEST)/bin/python' bench/scale.py $(if $(SIZES),--rows $(SIZES)) --json bench/figures/growth.json --page docs/scale.md --pictures docs/images
	@'$(TEST)/bin/python' bench/performance.py --only

.PHONY: docs
docs: $(DOCS)/installed ## Build the documentation into build/site; broken links are errors
	@'$(DOCS)/bin/zensical' build --strict --clean
	@'$(DOCS)/bin/python' tools/check_site.py build/site

.PHONY: reference
reference: $(TEST)/installed ## Write docs/commands.md and docs/settings.md from the code
	@'$(TEST)/bin/python' tools/reference.py

.PHONY: notebooks
notebooks: $(TEST)/installed ## Run the notebooks in examples/ on drawn data, and store what they show
	@'$(TEST)/bin/python' tools/notebooks.py

.PHONY: licences
licences: $(DEMO)/installed ## Check the licences of all that the base install brings along
	@'$(DEMO)/bin/python' tools/licences.py

.PHONY: audit
audit: licences $(AUDIT)/installed ## Check licences, and ask for published advisories about every pin: needs the network
	@'$(AUDIT)/bin/python' tools/advisories.py

.PHONY: pins
pins: ## Renew constraints.txt and requirements/ from the newest releases that fit
	@rm -rf '$(VENVS)/pins'
	@'$(PYTHON)' -m venv '$(VENVS)/pins'
	@'$(VENVS)/pins/bin/python' -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@{ grep '^#' constraints.txt; '$(VENVS)/pins/bin/python' -m pip freeze --all --exclude-editable --exclude pip \
		| grep -v -E '^(nvidia|cuda|triton)' | sed 's/+.*//' | LC_ALL=C sort -f; } > constraints.new
	@mv constraints.new constraints.txt
	@$(MAKE) --no-print-directory locks

.PHONY: locks
locks: ## Write requirements/*.txt, with hashes, for the pins in constraints.txt
	@test -x '$(VENVS)/uv/bin/uv' || { '$(PYTHON)' -m venv '$(VENVS)/uv' && '$(VENVS)/uv/bin/python' -m pip install --quiet --disable-pip-version-check uv; }
	@'$(VENVS)/uv/bin/python' tools/lock.py '$(VENVS)/uv/bin/uv'

.PHONY: clean
clean: ## Remove the environments made here and everything that was generated
	@rm -rf '$(DEMO)' '$(TEST)' '$(MILVUS)' '$(TRACKERS)' '$(PEERS)' '$(AUDIT)' '$(DOCS)' '$(VENVS)/pins' '$(VENVS)/uv' '$(VENVS)/ci' build dist demo runs node_modules clients/typescript/node_modules clients/typescript/dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEMO)/installed: $(REQUIREMENTS)
	$(call install,base,,the base package)

$(TEST)/installed: $(REQUIREMENTS)
	$(call install,dev,[dev],all extras and tools: PyTorch is several gigabytes)

$(MILVUS)/installed: requirements/milvus.txt
	@echo 'Setting up $(@D) (a Milvus server, for tests), once' >&2
	$(call locked,milvus)
	@touch '$@'

# Training itself comes from the tests' environment, whose releases count where the trackers have none of their own.
$(TRACKERS)/installed: requirements/trackers.txt $(TEST)/installed
	@echo 'Setting up $(@D) (MLflow, W&B and Aim, for tests), once' >&2
	$(call locked,trackers)
	@'$(TEST)/bin/python' -c 'import sysconfig; print("import site; site.addsitedir(\x27%s\x27)" % sysconfig.get_path("purelib"))' \
		>"$$('$(@D)/bin/python' -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tests.pth"
	@touch '$@'

$(PEERS)/installed: requirements/peers.txt
	@echo 'Setting up $(@D) (engines of others, for benchmarks), once' >&2
	$(call locked,peers)
	@touch '$@'

node_modules/installed: package.json package-lock.json
	@npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch '$@'

clients/typescript/node_modules/installed: clients/typescript/package.json clients/typescript/package-lock.json
	@cd clients/typescript && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch '$@'

$(AUDIT)/installed: requirements/audit.txt
	@echo 'Setting up $(@D) (pip-audit), once' >&2
	$(call locked,audit)
	@touch '$@'

$(DOCS)/installed: requirements/docs.txt
	@echo 'Setting up $(@D) (the documentation site), once' >&2
	$(call locked,docs)
	@touch '$@'

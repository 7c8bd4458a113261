# Every target sets up .venv itself when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
CAMPAIGN ?= workflows/campaigns/quickstart.yaml

ADVISORIES ?= https://api.osv.dev/v1/query

.PHONY: screen test test-fast test-all test-dft coverage check audit docs format bench install gpaw clean help

help:
	@echo "make screen    run the quickstart campaign: compositions to a stability ranking"
	@echo "make test      the suite, offline; test-all adds whole campaigns through a queue, minutes each"
	@echo "make test-fast what needs no server, queue, browser or DFT code: under 3 minutes"
	@echo "make coverage  the suite with branch coverage by room; FAST=1 counts test-fast only"
	@echo "make gpaw      install GPAW, the DFT code of the dft tests (needs the packages docs/gpaw.md names)"
	@echo "make test-dft  real DFT only: about 3 minutes"
	@echo "make check     lint, format, types, spelling, import contracts, audit"
	@echo "make audit     known vulnerabilities of the pinned packages; says so where nobody can be asked, REQUIRED=1 fails then"
	@echo "make docs      the documentation as a site in build/site, strictly"
	@echo "make bench     side-by-side benchmarks into benchmarks/results; ONLY=query runs one"

$(STAMP): pyproject.toml constraints.txt requirements.lock .ci/build.lock .ci/torch_cpu.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "this Python cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV): about 4 minutes and 2.3 GB the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps --requirement .ci/build.lock
	@$(PIP) --require-hashes --no-deps --requirement .ci/torch_cpu.lock 2>$(VENV)/torch.log || echo "no build of PyTorch for CPUs here ($(VENV)/torch.log): taking the one with CUDA"
	$(PIP) --require-hashes --no-deps --no-build-isolation --requirement requirements.lock
	$(PIP) --constraint constraints.txt --no-build-isolation --editable '.[chgnet,disorder,learning,embedded,dashboard,mp,notify,docs,dev]'
	@touch $@

install: $(STAMP)

gpaw: $(STAMP)
	@printf "fftw = True\nlibraries += ['fftw3']\n" > $(VENV)/gpaw_siteconfig.py
	GPAW_CONFIG=$(abspath $(VENV)/gpaw_siteconfig.py) $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-binary gpaw gpaw

screen: $(STAMP)
	@$(BIN)/hts campaign run $(CAMPAIGN)

test: $(STAMP)
	$(BIN)/python -m pytest -m "not long and not slurm" -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m "slurm and not long" tests/slurm tests/chaos

FAST_TESTS := not mongo and not slurm and not dft and not browser and not chaos and not slow and not long

test-fast: $(STAMP)
	$(BIN)/python -m pytest -m "$(FAST_TESTS)" -n 2 --dist loadfile --no-loadscope-reorder

# Processes that tests start are counted where they run this interpreter's package.
coverage: $(STAMP)
	$(BIN)/python -m pytest -m "$(if $(FAST),$(FAST_TESTS),not long and not slurm)" -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=
	@$(BIN)/python .ci/coverage_by_room.py

test-all: $(STAMP)
	$(BIN)/python -m pytest

test-dft: $(STAMP)
	$(BIN)/python -m pytest -m dft

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell hts_battery tests docs workflows benchmarks launchpad_configs README.md CONTRIBUTING.md CHANGELOG.md
	@$(BIN)/python .ci/audit.py --service $(ADVISORIES)

audit: $(STAMP)
	@$(BIN)/python .ci/audit.py --service $(ADVISORIES) $(if $(REQUIRED),--required)

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html"

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	@$(BIN)/python benchmarks/bench.py $(ONLY)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info

# The environment is made on first use and kept; it is made anew when one of PINS changes.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
PINS := requirements.txt tests/oracles.txt analysis_lib/pyproject.toml
READY := $(VENV)/.ready-$(shell cat $(PINS) | cksum | tr ' ' '-')
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PEERS := .venv-bench
PEERS_READY := $(PEERS)/.ready-$(shell cksum < tests/benchmarks/requirements.txt | tr ' ' '-')
# of `make bench`: --quick --out DIR, to see that it runs
BENCH_OPTIONS :=
PROFILE := full
LAB_OPTIONS :=

.DEFAULT_GOAL := help
.PHONY: help book quick test torture bench lab corpus lint format clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

book: $(READY) ## run the notebooks with the full profile and build the book
	@$(PY) -m analysis_lib book --profile $(PROFILE)

quick: $(READY) ## the same with small parameters: minutes, to see that everything runs
	@$(PY) -m analysis_lib book --profile quick

test: $(READY) ## run all tests
	@$(ONE_THREAD) $(PY) -m pytest

torture: $(READY) ## attack engine and store at full size, and write data/reports/torture.csv
	@rm -f data/reports/torture.csv
	@TORTURE=full $(ONE_THREAD) $(PY) -m pytest tests/torture

lab: $(READY) ## open the notebooks in JupyterLab
	@$(PY) -m jupyter lab --ServerApp.root_dir=notebooks $(LAB_OPTIONS)

corpus: $(READY) ## generate the corpus anew and publish it into data/ (hours; can be interrupted)
	@$(PY) -m analysis_lib corpus generate
	@$(PY) -m analysis_lib corpus publish

bench: $(READY) $(PEERS_READY) ## measure curvature, monitor and engine; writes the tables in data/reports
	@$(ONE_THREAD) $(PY) tests/benchmarks/scale.py $(BENCH_OPTIONS)
	@$(ONE_THREAD) KINETO_LOG_LEVEL=99 PYTHONPATH=$(PEERS):tests \
	  $(PY) -m benchmarks $(BENCH_OPTIONS)

lint: $(READY) ## check style, format, types, and that notebooks carry no outputs
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/notebooks/test_notebook_sources.py

format: $(READY) ## put code into the project's format
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

clean: ## delete what was built; the environment and the corpus stay
	rm -rf _build .pytest_cache .ruff_cache notebooks/.ruff_cache .hypothesis

$(READY): $(PINS)
	@if ! $(VENV)/bin/python -c '' 2>/dev/null; then \
	  for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "This project needs Python 3.11 or newer with its venv module, and none was found; install it, or name one: make PYTHON=/path/to/python3" >&2; exit 1; fi; \
	  echo "making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "installing requirements.txt (a few minutes the first time)"
	@$(PY) -m pip install -qq --disable-pip-version-check --no-input -r requirements.txt
	@$(PY) -m pip install -qq --disable-pip-version-check --no-input --no-deps -r tests/oracles.txt
	@rm -f $(VENV)/.ready-*
	@touch $@

# a directory on the path of the benchmarks alone, so that the environment stays as it is
$(PEERS_READY): tests/benchmarks/requirements.txt $(READY)
	@rm -rf $(PEERS)
	@$(PY) -m pip install -qq --disable-pip-version-check --no-input --no-deps \
	  --target $(PEERS) -r tests/benchmarks/requirements.txt
	@touch $@

# Everything here needs nothing but Python 3.11 or later: the first target sets up .venv by itself.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

# The newest plain Python that is at least 3.11 (`make PYTHON=… test` takes another).
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$p" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
# Runs the default suite on this many processes.
JOBS ?= 2

.PHONY: help demo demo-report test test-slow stress fuzz matrix lint format docs bench wheel clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# Two environments' worth of packages in one folder, each with a stamp, so that set-up happens once and `make demo` does
# not wait for the developers' tools.
$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "mace needs Python 3.11 or later; none was found" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.demo: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu]'
	@# As pip does for a package it copies; without, every start compiles the sources where PYTHONDONTWRITEBYTECODE is set.
	$(BIN)/python -m compileall -q src/mace
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu,dev]'
	@touch $@

demo: $(VENV)/.demo ## Convert, compile and run a small real network: cold start, warm start, accuracy
	$(BIN)/python examples/digits/demo.py

test: $(VENV)/.dev ## The default tests, on every OpenCL implementation that is installed
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

test-slow: $(VENV)/.dev ## The long tests that `make test` leaves out
	$(BIN)/python -m pytest -n $(JOBS) -m slow $(PYTEST_ARGS)

stress: $(VENV)/.dev ## Kill saves and start processes at once, long: ROUNDS=50
	MACE_STRESS_ROUNDS=$(or $(ROUNDS),50) $(BIN)/python -m pytest -m slow --timeout=0 tests/program/test_faults.py \
		tests/program/test_damage.py tests/engine/test_stress.py tests/engine/test_program_files.py

fuzz: $(VENV)/.dev ## Fuzz every reader of files for SECONDS=600 each, or READERS="table plan"
	$(BIN)/python tests/fuzz/fuzz_program.py $(or $(SECONDS),600) $(READERS)

matrix: $(VENV)/.dev ## Offer damaged and foreign programs to every OpenCL implementation, and write docs/backends.md (an hour)
	$(BIN)/python -m tests.matrix $(MATRIX_ARGS)

onnx-suite: $(VENV)/.dev ## Run onnx's own test cases and write their verdicts and the table in the docs (long)
	$(BIN)/python -m tests.onnx_suite.run --device "Intel(R) OpenCL" --name intel --processes $(JOBS)
	$(BIN)/python -m tests.onnx_suite.run --device "Portable Computing Language" --name pocl --direct --processes $(JOBS) --table

oclgrind: $(VENV)/.dev ## Run kernels under the simulator, which sees wrong accesses: OCLGRIND_ARGS="--all --device cpu"
	$(BIN)/python -m tests.simulator --processes $(JOBS) $(OCLGRIND_ARGS)

lint: $(VENV)/.dev ## Format, lint, types, imports between layers: all four, whichever fails
	@status=0; for check in "ruff format --check --quiet ." "ruff check --quiet ." mypy "lint-imports --no-cache"; do \
		echo "$$check"; $(BIN)/$$check || status=1; \
	done; exit $$status

format: $(VENV)/.dev ## Bring the sources into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## Build the documentation into site/, warnings being errors
	$(BIN)/mkdocs build --strict --quiet

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check onnxruntime openvino ncnn pnnx MNN \
		aliyun-log-python-sdk
	@# MNN's converter installs that one by itself when it first runs, and an older protobuf with it, which breaks onnx.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'protobuf>=6.31'
	@touch $@

bench: $(VENV)/.bench ## Measure every number in docs/performance.md anew beside the other runtimes, and write it (long): NETWORKS="resnet50 …" SUFFIX=-short-vectors
	$(BIN)/python bench/peers.py --record bench/results/peers$(SUFFIX).json $(NETWORKS)
	$(BIN)/python bench/roofline.py --record bench/results/roofline$(SUFFIX).json $(NETWORKS)
	$(BIN)/python bench/start.py --record bench/results/start$(SUFFIX).json $(NETWORKS)
	$(BIN)/python bench/opening.py --record bench/results/opening$(SUFFIX).json
	$(BIN)/python bench/transfers.py --record bench/results/transfers$(SUFFIX).json
	$(BIN)/python bench/page.py

demo-report: $(VENV)/.dev ## Reports of the digits demo and of MobileNet-v2, measured now, in artifacts/reports
	$(BIN)/python bench/demo_report.py artifacts/reports $(REPORT_ARGS)

wheel: $(VENV)/.dev ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean: ## Remove all that is made here, the environment included
	rm -rf $(VENV) build dist site artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

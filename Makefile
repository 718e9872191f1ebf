# Every target works in a fresh clone: tools/setup makes .venv and installs what is missing.
PYTHON   ?= python3
VENV     ?= .venv
JOBS     ?= auto
TESTS    ?= tests
# What test-gdb runs on other engines than usual.
GDB_TESTS = $(wildcard tests/test_gdb_*.py tests/test_board_range*.py tests/test_hooks_*.py) \
            tests/test_board_target.py tests/test_conditions.py tests/test_api_machine.py
PYTEST   = $(VENV)/bin/python -m pytest $(PYTEST_ARGS)
# pytest exits with 5 when no test was selected; that is no failure here.
none_is_fine = || [ $$? -eq 5 ]

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-gdb lint docs bench dap linux64 linux32 \
        extras clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## .venv with the tests' needs; Debian packages when missing
	@PYTHON=$(PYTHON) VENV=$(VENV) tools/setup test

demo: ## a C program under the emulator, debugged by gdb, on screen
	@PYTHON=$(PYTHON) VENV=$(VENV) tools/setup demo
	@$(VENV)/bin/python -m otoriscv demo

test: lint ## the linters, then every test but the slow ones
	$(PYTEST) -n $(JOBS) -m "not slow and not timing" $(TESTS) $(none_is_fine)
	$(PYTEST) -m "timing and not slow" $(TESTS) $(none_is_fine)

test-slow: test-gdb dap extras ## the slow tests: longer fuzzing, lockstep, compliance
	$(PYTEST) -n $(JOBS) --timeout 1200 -m "slow and not timing" $(TESTS) $(none_is_fine)
	$(PYTEST) --timeout 1200 -m "slow and timing" $(TESTS) $(none_is_fine)

test-gdb: setup ## debugging on the JIT: with its defaults, and compiling everything at once
	$(PYTEST) -n $(JOBS) -m "not timing" --engine llvm $(GDB_TESTS)
	$(PYTEST) -n $(JOBS) -m "not timing and not slow" --engine llvm --jit-threshold 1 --jit-workers 0 \
	    $(GDB_TESTS)

extras: ## Debian packages that a few tests need: firmware of others, cpio, graphviz
	@PYTHON=$(PYTHON) tools/setup extras || echo "extras: without, those tests are skipped"

lint: setup ## ruff and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

docs: setup ## docs/ as HTML in build/docs
	$(VENV)/bin/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo build/docs/index.html

bench: setup ## our engines against QEMU on benchmarks/kernels
	$(VENV)/bin/python -m benchmarks.run $(BENCH_ARGS)

dap: ## VS Code's debug adapter for gdb (8 MB from npm), which the slow tests drive
	@[ -d build/npm/node_modules/cdt-gdb-adapter ] || npm install --no-fund --no-audit \
	    --ignore-scripts --prefix build/npm cdt-gdb-adapter@1.7.0 \
	    || echo "dap: npm cannot install it: the tests of VS Code's adapter are skipped"

linux64: setup ## Debian's kernel and a busybox root in build-linux/, and how to boot them
	@$(VENV)/bin/python -m tools.linux.make64

linux32: setup ## a small rv32 kernel from Debian's source: some five minutes, once
	@$(VENV)/bin/python -m tools.linux.make32

clean: ## what was built here (not .venv)
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf benchmarks/build benchmarks/results examples/demo/build
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

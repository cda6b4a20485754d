# ccabridge: `make run` and `make test` do all set-up by themselves, once, in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps

PLUGIN_SOURCES   := $(wildcard $(addprefix bridge/plugin_c/,*.c *.h *.py stable_abi/*.h))
FIRMWARE_SOURCES := $(shell find firmware -type f \( -name '*.[chS]' -o -name '*.ld' -o -name '*.py' \) \
                      -not -path 'firmware/build/*' -not -path 'firmware/templates/*')
ABI_SOURCES      := $(wildcard rmm/abi/*.py machine/ffa/*.py machine/payload_abi.py)

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Python's own build configuration names its own compiler, which need not be installed here.
COMPILER = $$(command -v cc || command -v gcc || command -v clang)

.DEFAULT_GOAL := help
.PHONY: help setup run test bench lint format firmware wheel docs conformance mutate asan clean

help:
	@echo 'make run       set up and boot the default machine (configs/hello-realm.yaml)'
	@echo 'make test      set up and run the tests'
	@echo 'make bench     speed, as a table of ratios to a baseline in the same run'
	@echo 'make conformance  replay the recorded answers of a reference RMM'
	@echo 'make mutate    drop, negate, swap and re-label each failure condition: does a test notice?'
	@echo 'make lint      ruff and mypy --strict'
	@echo 'make format    let ruff write what lint asks for'
	@echo 'make firmware  build the aarch64 images'
	@echo 'make wheel     build dist/*.whl'
	@echo 'make docs      regenerate what is generated under docs/'
	@echo 'make asan      plugin tests under AddressSanitizer and UBSan'
	@echo 'make clean     remove all that set-up and builds made'

$(STAMPS)/venv:
	@command -v $(PYTHON) >/dev/null || \
	  { echo 'ccabridge: there is no $(PYTHON) (apt install python3 python3-venv, or set PYTHON=)' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ccabridge: $$($(PYTHON) --version) is too old, 3.11 or later is needed (set PYTHON=)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo 'ccabridge: $(PYTHON) has no venv module (apt install python3-venv)' >&2; exit 1; }
	@test -n "$(COMPILER)" || { echo 'ccabridge: a C compiler is needed (apt install gcc libc6-dev)' >&2; exit 1; }
	@echo 'ccabridge: setting up $(VENV)' >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# Everything pinned in pyproject.toml; a cross compiler only where none is found.
$(STAMPS)/dependencies: $(STAMPS)/venv pyproject.toml .ci/pins
	@echo 'ccabridge: installing pinned dependencies' >&2
	@$(BIN)/python .ci/pins build runtime dev >$(STAMPS)/pins.txt
	@$(BIN)/python -m pip install -qq -r $(STAMPS)/pins.txt || \
	  { echo 'ccabridge: the dependencies could not be installed; pip says why above' >&2; exit 1; }
	@$(BIN)/python -m firmware.toolchain show >/dev/null 2>&1 || { \
	  echo 'ccabridge: no aarch64 compiler here, installing ziglang into $(VENV)' >&2; \
	  $(BIN)/python .ci/pins toolchain >$(STAMPS)/pins.txt; \
	  $(BIN)/python -m pip install -qq -r $(STAMPS)/pins.txt || \
	  { echo 'ccabridge: ziglang could not be installed; or apt install gcc-aarch64-linux-gnu' >&2; exit 1; }; }
	@touch $@

# The command and the plugin.  The install is editable: only what is compiled can grow old.
$(STAMPS)/plugin: $(STAMPS)/dependencies setup.py $(PLUGIN_SOURCES)
	@echo 'ccabridge: building the plugin' >&2
	@CC="$(COMPILER)" $(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable . || \
	  { echo 'ccabridge: the plugin could not be built; the compiler says why above' >&2; exit 1; }
	@$(BIN)/python -m compileall -q bridge rmm machine firmware
	@touch $@

$(STAMPS)/firmware: $(STAMPS)/dependencies $(FIRMWARE_SOURCES) $(ABI_SOURCES)
	@echo 'ccabridge: building the firmware' >&2
	@$(BIN)/python -m firmware.build
	@touch $@

setup: $(STAMPS)/plugin $(STAMPS)/firmware

firmware: $(STAMPS)/firmware

run: setup
	@$(BIN)/ccabridge run configs/hello-realm.yaml

test: setup
	$(BIN)/pytest -n 2

bench: setup
	@$(BIN)/python -m tests.bench

conformance: setup
	@$(BIN)/ccabridge conformance tests/rmm/corpus/*.jsonl.gz

mutate: setup
	@$(BIN)/python -m tests.mutate

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: setup
	@rm -rf build/lib* build/bdist*
	CC="$(COMPILER)" $(BIN)/python -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir dist .

docs: setup
	$(BIN)/python -m machine.config.schema
	$(BIN)/python -m machine.config.docs
	$(BIN)/python -m machine.config.boards
	$(BIN)/python -m bridge.cli.docs
	$(BIN)/python -m bridge.cli.vmm_docs
	$(BIN)/python -m rmm.abi.docs docs/abi.md
	$(BIN)/python -m machine.vmm.linux.docs
	$(BIN)/python -m machine.ffa.docs
	$(BIN)/python -m machine.traces.docs

asan: setup
	@sh tests/sanitize.sh $(CURDIR)/$(BIN)/python

clean:
	rm -rf $(VENV) build dist firmware/build *.egg-info bridge/_plugin*.so bridge/_plugin.c bridge/_plugin.o
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

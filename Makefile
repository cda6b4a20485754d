# ccabridge: `make run` and `make test` do all set-up by themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps

PLUGIN_SOURCES   := $(wildcard bridge/plugin_c/*.c bridge/plugin_c/*.h bridge/plugin_c/*.py)
FIRMWARE_SOURCES := $(shell find firmware -type f -not -path 'firmware/build/*' -not -name '*.pyc' 2>/dev/null)
ABI_SOURCES      := $(wildcard rmm/abi/*.py machine/payload_abi.py)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help run test bench lint types format firmware wheel docs asan clean setup

help:
	@echo 'make run       set up and boot the default machine (configs/hello-realm.yaml)'
	@echo 'make test      set up and run the tests'
	@echo 'make bench     speed, as a table of ratios to a baseline in the same run'
	@echo 'make lint      ruff and mypy --strict'
	@echo 'make firmware  build the aarch64 images'
	@echo 'make wheel     build dist/*.whl'
	@echo 'make docs      regenerate what is generated under docs/'
	@echo 'make asan      plugin tests under AddressSanitizer and UBSan'
	@echo 'make clean     remove all that set-up and builds made'

$(STAMPS)/venv:
	@command -v $(PYTHON) >/dev/null || { echo 'ccabridge: python3 is needed (apt install python3 python3-venv)'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ccabridge: Python 3.11 or later is needed, $$($(PYTHON) --version) is here; set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo 'ccabridge: the venv module is needed (apt install python3-venv)'; exit 1; }
	@echo 'ccabridge: setting up $(VENV)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# The dependencies, the plugin (an editable install builds it), and a cross compiler where none is found.
$(STAMPS)/install: $(STAMPS)/venv pyproject.toml setup.py $(PLUGIN_SOURCES)
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || \
	  { echo 'ccabridge: a C compiler is needed (apt install gcc libc6-dev)'; exit 1; }
	@echo 'ccabridge: installing pinned dependencies and building the plugin'
	@$(BIN)/pip install --quiet --editable '.[dev]'
	@$(BIN)/python -m firmware.toolchain show >/dev/null 2>&1 || \
	  { echo 'ccabridge: no aarch64 compiler found, installing ziglang into $(VENV)'; \
	    $(BIN)/pip install --quiet ziglang==0.17.0; }
	@touch $@

$(STAMPS)/firmware: $(STAMPS)/install $(FIRMWARE_SOURCES) $(ABI_SOURCES)
	@echo 'ccabridge: building the firmware'
	@$(BIN)/python -m firmware.build
	@touch $@

setup: $(STAMPS)/firmware

firmware: $(STAMPS)/firmware

run: $(STAMPS)/firmware
	@$(BIN)/ccabridge run configs/hello-realm.yaml

test: $(STAMPS)/firmware
	$(BIN)/pytest -n 2 -q

bench: $(STAMPS)/firmware
	@$(BIN)/python -m tests.bench

lint: $(STAMPS)/install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMPS)/install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMPS)/firmware
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

docs: $(STAMPS)/install
	$(BIN)/python -m machine.config.docs
	$(BIN)/python -m bridge.cli.docs

asan: $(STAMPS)/firmware
	@sh tests/sanitize.sh $(CURDIR)/$(BIN)/python

clean:
	rm -rf $(VENV) build dist firmware/build *.egg-info bridge/_plugin*.so bridge/_plugin.c
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

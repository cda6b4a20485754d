#!/bin/sh
# The plugin under AddressSanitizer and UBSan: a copy of the tree is built with them and its tests are run.
# Usage: tests/sanitize.sh PYTHON
set -eu
python=$1
cc=${CC:-cc}
tree=build/sanitize
rm -rf "$tree"
mkdir -p "$tree"
cp -r bridge machine rmm firmware configs tests pyproject.toml setup.py "$tree"
rm -f "$tree"/bridge/_plugin*.so
cd "$tree"
CCABRIDGE_SANITIZE=address,undefined CCABRIDGE_WERROR=1 "$python" bridge/plugin_c/build_plugin.py >build.log 2>&1 ||
  { tail -n 40 build.log; exit 1; }
rm -rf build
# Python itself is not instrumented, so the runtime comes first; its leaks are not ours to find. A report must not
# abort(): the plugin takes an abort within a run for the engine's.
runtime=$("$cc" -print-file-name=libasan.so)
export LD_PRELOAD="$runtime" ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:handle_segv=0
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=0:print_stacktrace=1
export CCA_SANITIZE=address,undefined PYTHONPATH=.
# capstone's loader does not get along with the preloaded runtime: test_decode runs under UBSan alone, below
"$python" -m pytest -q -p no:cacheprovider tests/plugin tests/bridge/test_core.py tests/bridge/test_random_code.py \
  tests/bridge/test_fuzz.py tests/bridge/test_regimes_fuzz.py tests/bridge/test_debug.py tests/bridge/test_traps.py \
  tests/bridge/test_vhe.py tests/bridge/test_stage2.py tests/bridge/test_pmu.py \
  tests/bridge/test_interrupts.py tests/bridge/test_coverage.py \
  tests/bridge/test_interrupts_fuzz.py tests/bridge/test_gic.py --ignore tests/plugin/test_decode.py
unset LD_PRELOAD
CCA_SANITIZE=undefined "$python" -m pytest -q -p no:cacheprovider tests/plugin/test_decode.py

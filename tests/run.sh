#!/usr/bin/env bash
# Sets up and runs every check of the project that this machine can run.
#
#   bash tests/run.sh [pytest arguments]      for instance: bash tests/run.sh -m "not slow"
#
#   ADORA_TEST_WORKERS=2     test processes; a test file stays in one of them
set -euo pipefail
# shellcheck source=configs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../configs/setup.sh"
cd "$ADORA_ROOT"

set_up --dev

# glibc gives large freed blocks back to the kernel, and each new one then faults page by page. In a
# virtual machine that made a training step of the tests up to 8 times as slow; keep the memory.
export MALLOC_MMAP_MAX_="${MALLOC_MMAP_MAX_:-0}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-100000000000}"
export MALLOC_TOP_PAD_="${MALLOC_TOP_PAD_:-268435456}"
# Tensors here are too small for many threads, and some tests start several processes.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# Nothing may be fetched by a test.
export HF_HUB_OFFLINE=1

failed=()
check() {
  local began=$SECONDS name="$1"
  shift
  say "$name"
  "$@" || failed+=("$name")
  say "$name took $((SECONDS - began)) s"
}

SECONDS=0
check "ruff check" "$ADORA_PYTHON" -m ruff check .
check "ruff format" "$ADORA_PYTHON" -m ruff format --check .
check "mypy" "$ADORA_PYTHON" -m mypy
check "pytest" "$ADORA_PYTHON" -m pytest -n "${ADORA_TEST_WORKERS:-2}" --dist loadfile "$@"

if [[ ${#failed[@]} -gt 0 ]]; then
  fail "FAILED after $((SECONDS / 60)) min $((SECONDS % 60)) s: $(printf '%s; ' "${failed[@]}")"
fi
say "all checks passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"

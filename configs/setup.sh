#!/usr/bin/env bash
# Makes .venv in the repository with the pinned packages and this project, once; later calls return
# at once. run_geo3k.sh and tests/run.sh source this file; it can also be run by itself:
#
#   bash configs/setup.sh [--dev | --vllm]      --dev adds the tools of the tests,
#                                               --vllm these and vLLM (on CPUs its CPU build)
#
#   PYTHON=python3.12        the interpreter of a new .venv (3.11 or newer)
#   ADORA_PROFILE=cpu|gpu    the pinned set, instead of asking whether a CUDA GPU is visible
#
# Delete .venv to start over.
set -euo pipefail

ADORA_ROOT="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
ADORA_VENV="$ADORA_ROOT/.venv"
ADORA_PYTHON="$ADORA_VENV/bin/python"

say() { printf 'adora: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Prints how many CUDA GPUs this process may use.
visible_gpus() {
  local listed wanted
  listed="$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true)"
  if [[ "$listed" -eq 0 || "${CUDA_VISIBLE_DEVICES-all}" == all ]]; then
    echo "$listed"
  elif [[ -z "$CUDA_VISIBLE_DEVICES" || "$CUDA_VISIBLE_DEVICES" == -* ]]; then
    echo 0
  else
    IFS=, read -ra wanted <<<"$CUDA_VISIBLE_DEVICES"
    echo "${#wanted[@]}"
  fi
}

choose_profile() {
  case "${ADORA_PROFILE:-}" in
    cpu | gpu) echo "$ADORA_PROFILE" ;;
    "") if [[ "$(visible_gpus)" -gt 0 ]]; then echo gpu; else echo cpu; fi ;;
    *) fail "ADORA_PROFILE=$ADORA_PROFILE is not known; set it to cpu or gpu" ;;
  esac
}

# Prints one hash of everything that decides what an installed environment looks like. The folder
# is part of it: commands in .venv/bin hold absolute paths, so a moved checkout is set up again.
fingerprint() {
  local digest=(sha256sum)
  command -v sha256sum >/dev/null || digest=(shasum -a 256)
  {
    printf '%s\n' "$ADORA_ROOT" "$@"
    cd "$ADORA_ROOT"
    cat "$@" pyproject.toml setup.py configs/setup.sh
  } | "${digest[@]}" | cut -d ' ' -f 1
}

stamped() {
  [[ -x "$ADORA_PYTHON" && -f "$ADORA_VENV/$1" && "$(<"$ADORA_VENV/$1")" == "$2" ]]
}

# The marker of a finished install appears whole or not at all.
write_stamp() {
  printf '%s\n' "$2" >"$ADORA_VENV/$1.new"
  sync "$ADORA_VENV/$1.new" 2>/dev/null || true
  mv "$ADORA_VENV/$1.new" "$ADORA_VENV/$1"
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

choose_python() {
  local candidate
  if [[ -n "${PYTHON:-}" ]]; then
    new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of version 3.11 or newer"
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python; do
    if new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed, and python3 is $(python3 -V 2>&1 || true);" \
    "install one, or name one: PYTHON=/path/to/python3.11"
}

make_environment() {
  if new_enough "$ADORA_PYTHON" && "$ADORA_PYTHON" -m pip --version >/dev/null 2>&1; then
    return
  fi
  local python
  python="$(choose_python)"
  say "making $ADORA_VENV with $("$python" -V)"
  "$python" -m venv --clear "$ADORA_VENV" ||
    fail "$python cannot make virtual environments; on Debian and Ubuntu install python3-venv"
}

# install_packages STAMP... -- REQUIREMENTS...: the stamps go first, so that an install that breaks
# off leaves none.
install_packages() {
  local stamps=() files=() pip
  while [[ "$1" != -- ]]; do
    stamps+=("$ADORA_VENV/$1")
    shift
  done
  shift
  for file in "$@"; do files+=(-r "$ADORA_ROOT/$file"); done
  make_environment
  rm -f "${stamps[@]}"
  pip=("$ADORA_PYTHON" -m pip --disable-pip-version-check --no-input install --quiet)
  say "installing $* (a few minutes the first time)"
  # DeepSpeed compiles its kernels on first use, if ever; building them here would need a compiler.
  DS_BUILD_OPS=0 "${pip[@]}" "${files[@]}"
  "${pip[@]}" --no-deps --no-build-isolation --editable "$ADORA_ROOT"
}

# set_up [--dev]: afterwards $ADORA_PYTHON runs this project.
set_up() {
  local profile base dev base_files
  profile="$(choose_profile)"
  base_files=(requirements/cpu.txt)
  [[ "$profile" == cpu ]] || base_files+=(requirements/gpu.txt)
  base="$(fingerprint "${base_files[@]}")"
  dev="$(fingerprint "${base_files[@]}" requirements/dev.txt)"
  is_ready "$base" "$dev" "$@" && return
  mkdir -p "$ADORA_ROOT/.cache"
  (
    lock_set_up
    if is_ready "$base" "$dev" "$@"; then exit 0; fi
    if [[ "${1:-}" == --dev ]]; then
      install_packages setup.base setup.dev -- "${base_files[@]}" requirements/dev.txt
      write_stamp setup.dev "$dev"
    else
      install_packages setup.base -- "${base_files[@]}"
    fi
    write_stamp setup.base "$base"
  ) 9>"$ADORA_ROOT/.cache/setup.lock"
}

# vLLM beside everything else. On a GPU it is in the base already.
add_vllm() {
  [[ "$(choose_profile)" == cpu ]] || return 0
  say "installing requirements/vllm.txt"
  "$ADORA_PYTHON" -m pip --disable-pip-version-check --no-input install --quiet --no-deps \
    -r "$ADORA_ROOT/requirements/vllm.txt"
  "$ADORA_PYTHON" -c 'import torchvision' 2>/dev/null ||
    "$ADORA_PYTHON" "$ADORA_ROOT/tests/torchvision_shim.py" ||
    fail "torchvision does not import beside this torch; give both from one index of wheels"
}

is_ready() {
  stamped setup.base "$1" && { [[ "${3:-}" != --dev ]] || stamped setup.dev "$2"; }
}

# Two runs that start together: the second waits, then finds everything in place.
lock_set_up() {
  command -v flock >/dev/null || return 0
  local refused=0
  flock --nonblock 9 2>/dev/null || refused=$?
  case "$refused" in
    0) ;;
    1)
      say "waiting for another set-up of this folder"
      flock 9
      ;;
    *) say "this file system has no locks: start one set-up of this folder at a time" ;;
  esac
}

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  case "${1:-}" in
    "" | --dev) set_up "$@" ;;
    --vllm)
      set_up --dev
      add_vllm
      ;;
    *) fail "unknown argument $1; usage: bash configs/setup.sh [--dev | --vllm]" ;;
  esac
  say "ready: $ADORA_VENV"
fi

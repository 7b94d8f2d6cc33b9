#!/usr/bin/env bash
# The main job, from nothing: set-up, then training with evaluation and a report.
#
#   bash configs/run_geo3k.sh [RECIPE] [section.key=value ...] [--resume]
#
# RECIPE is a name in configs/ or a path. Without one: geo3k_qwen25vl_7b when a CUDA GPU is visible,
# else geo3k_tiny, which is made for two cores and no GPU. Paths in arguments are relative to the
# repository, from wherever this is called.
#
#   NPROC=2                  processes on this machine (default: one per visible GPU, else one)
#   PYTHON, ADORA_PROFILE    see configs/setup.sh
#
# Several machines: start `adora train` with the deepspeed launcher or torchrun (docs/).
set -euo pipefail
# shellcheck source=configs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$ADORA_ROOT"

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' configs/run_geo3k.sh
  exit 0
fi

profile="$(choose_profile)"
gpus="$(visible_gpus)"
seen="no CUDA GPU visible"
[[ "$gpus" -eq 0 ]] || seen="$gpus CUDA GPU(s) visible"
[[ -z "${ADORA_PROFILE:-}" ]] || seen="ADORA_PROFILE=$ADORA_PROFILE"
if [[ $# -gt 0 && "$1" != *=* && "$1" != -* ]]; then
  recipe="$1"
  shift
  why="as asked for"
elif [[ "$profile" == gpu ]]; then
  recipe=geo3k_qwen25vl_7b
  why="$seen"
else
  recipe=geo3k_tiny
  why="$seen"
fi
processes="${NPROC:-$gpus}"
[[ "$profile" == gpu || -n "${NPROC:-}" ]] || processes=1
[[ "$processes" =~ ^[0-9]+$ ]] || fail "NPROC=$processes is not a number of processes"
say "recipe $recipe ($why); for another: bash configs/run_geo3k.sh RECIPE, with RECIPE from configs/"

set_up

train=("$ADORA_VENV/bin/adora" train "$recipe" "$@")
if [[ "$processes" -gt 1 ]]; then
  say "$processes processes on this machine"
  exec "$ADORA_PYTHON" -m torch.distributed.run --standalone --nproc_per_node "$processes" \
    --no_python "${train[@]}"
fi
exec "${train[@]}"

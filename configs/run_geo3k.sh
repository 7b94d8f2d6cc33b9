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
# Several machines: the same command on each of them, with
#
#   NNODES=2                 machines
#   NODE_RANK=0              this machine's number, from 0
#   MASTER_ADDR=10.0.0.1     an address of machine 0 that the others reach
#   MASTER_PORT=29500        a free TCP port there (default: 29500)
#
# configs/slurm.sbatch sets these; docs/distributed.md says what the machines must share.
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
machines="${NNODES:-1}"
[[ "$machines" =~ ^[1-9][0-9]*$ ]] || fail "NNODES=$machines is not a number of machines"
where="on this machine"
meeting=(--standalone)
if [[ "$machines" -gt 1 ]]; then
  [[ "${NODE_RANK:-}" =~ ^[0-9]+$ && "$NODE_RANK" -lt "$machines" ]] ||
    fail "NODE_RANK=${NODE_RANK:-} must number this machine from 0 to $((machines - 1))"
  [[ -n "${MASTER_ADDR:-}" ]] || fail "set MASTER_ADDR to an address of machine 0"
  where="on each of $machines machines, this is machine $NODE_RANK"
  meeting=(--nnodes "$machines" --node_rank "$NODE_RANK"
    --master_addr "$MASTER_ADDR" --master_port "${MASTER_PORT:-29500}")
fi
say "recipe $recipe ($why); for another: bash configs/run_geo3k.sh RECIPE, with RECIPE from configs/"

set_up

train=("$ADORA_VENV/bin/adora" train "$recipe" "$@")
if [[ "$processes" -gt 1 || "$machines" -gt 1 ]]; then
  say "$processes process(es) $where"
  exec "$ADORA_PYTHON" -m torch.distributed.run "${meeting[@]}" --nproc_per_node "$processes" \
    --no_python "${train[@]}"
fi
exec "${train[@]}"

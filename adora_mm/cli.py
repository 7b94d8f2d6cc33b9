"""The `adora` command; each subcommand imports what it needs when it is called."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from adora_mm.config import GenerateConfig, RunConfig, load_config
from adora_mm.faults import RunFault
from adora_mm.signals import Stopped

USAGE = """adora COMMAND ...

  train RECIPE [key=value ...] [--resume]   train a policy; recipes by name or path (resume=auto
                                            is the same as --resume)
  plan RECIPE [key=value ...] [--gpu h100 --gpus 8]     what that would do, need and take
  eval ...                                  measure a model: benchmarks, comparisons
  prep ...                                  make and convert data
  check --gold G --answer A                 ask the answer checker
  report RUN [RUN ...] [--live]             write (or serve) the page about a run, or several
  doctor [--no-self-test]                   what is installed and works here; runs the loop once
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0; 2 for a mistake that one line explains; 1 for a fault while running (`RunFault`); 128 and the
    signal's number for a run that was asked to stop.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # Launchers put --local_rank in front of the user's own words.
    words = [word for word in words if not word.startswith("--local_rank")]
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if words else 2
    command = COMMANDS.get(words[0])
    if command is None:
        return _fail(f"no command {words[0]!r}; adora --help lists them")
    try:
        return command(words[1:])
    except (ValueError, OSError, ArithmeticError) as error:
        if _told_by_first_rank(error):
            return 2
        return _fail(" ".join(str(error).split()) or type(error).__name__)
    except RunFault as fault:
        return _fail(" ".join(str(fault).split()), code=1)
    except Stopped as stopped:
        print(f"adora: {stopped}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        return _fail("interrupted", code=130)


def _train(words: list[str]) -> int:
    arguments = _train_arguments(words)
    config = load_config(arguments.recipe, arguments.overrides)
    from adora_mm.launch import train

    folder = train(config, resume=arguments.resume, make_data=lambda: _make_data(config))
    from adora_mm import distributed

    if config.logging.report and distributed.is_first():
        from adora_mm.report import write_report

        print(f"report: {write_report(folder)}")
    return 0


def _plan(words: list[str]) -> int:
    from adora_mm.plan.command import main as plan_main

    return plan_main(words)


def _train_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="adora train")
    parser.add_argument("recipe", help="a recipe's name or path")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    arguments = parser.parse_intermixed_args(words)
    for word in [word for word in arguments.overrides if word.startswith("resume=")]:
        if word not in ("resume=auto", "resume=never"):
            raise ValueError(f"{word}: say resume=auto (go on if it can) or resume=never")
        arguments.resume = word == "resume=auto"
        arguments.overrides.remove(word)
    return arguments


def _make_data(config: RunConfig) -> None:
    """Make the data folder that the recipe says how to make, if it is used and missing.

    Only that one: a mistyped path must never be filled with other problems.
    """
    used, wanted = config.data.folders, config.data.generate
    if wanted is not None and _missing(Path(wanted.folder), used):
        _generate(wanted)
    words = config.data.prep
    if "--out" in words[:-1]:
        folder = Path(words[words.index("--out") + 1])
        if _missing(folder, used) and _prep([*words]) != 0:
            raise ValueError(f"{folder}: adora prep could not make it (see the line above)")


def _missing(folder: Path, used: Collection[Path]) -> bool:
    return folder in used and not folder.exists()


def _generate(wanted: GenerateConfig) -> None:
    from data_prep.synthetic import write_synthetic

    print(f"making {sum(wanted.counts.values())} problems in {wanted.folder} ...", flush=True)
    write_synthetic(
        Path(wanted.folder),
        counts=wanted.counts,
        seed=wanted.seed,
        families=wanted.families or None,
        image_px=wanted.image_px,
        label_grid_px=wanted.label_grid_px,
    )


def _prep(words: list[str]) -> int:
    from data_prep.cli import main as prep_main

    return prep_main(words)


def _eval(words: list[str]) -> int:
    from evaluation.cli import main as eval_main

    return eval_main(words)


def _check(words: list[str]) -> int:
    from adora_mm.verify.cli import main as check_main

    return check_main(words)


def _report(words: list[str]) -> int:
    from adora_mm.report.cli import main as report_main

    return report_main(words)


SELF_TEST = (
    "data.generate.counts={train: 8, val: 4}", "rollout.prompts_per_step=4", "rollout.group_size=2",
    "rollout.max_new_tokens=12", "train.prompts_per_minibatch=4", "train.total_steps=1",
    "checkpoint.every_steps=0", "evaluation.samples=0", "advantage.adora.enabled=true",
)  # fmt: skip
"""Data, rollouts, checker, ADORA, an update, two evaluations, a checkpoint and a report."""


def _doctor(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="adora doctor")
    parser.add_argument("--no-self-test", action="store_true", help="only look, do not run")
    arguments = parser.parse_args(words)
    from adora_mm.doctor import describe, examine, is_ready

    findings = examine()
    print(describe(findings), flush=True)
    if not is_ready(findings):
        return 1
    if not arguments.no_self_test:
        print("self-test: one step of the embedded policy ...", flush=True)
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            places = [f"run_dir={folder}", f"data.generate.folder={data}"]
            places += [f"data.train={data}@train", f"data.val={data}@val"]
            _train(["geo3k_tiny", "name=self-test", *places, *SELF_TEST])
        print(f"self-test passed in {time.monotonic() - started:.0f} s")
    return 0


def _told_by_first_rank(error: Exception) -> bool:
    """Whether this is a copy of what the first rank of this machine tells."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        return False
    from adora_mm.distributed import FirstRankError

    return isinstance(error, FirstRankError)


def _fail(message: str, code: int = 2) -> int:
    print(f"adora: error: {message}", file=sys.stderr)
    return code


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "plan": _plan,
    "eval": _eval,
    "prep": _prep,
    "check": _check,
    "report": _report,
    "doctor": _doctor,
}

if __name__ == "__main__":
    sys.exit(main())

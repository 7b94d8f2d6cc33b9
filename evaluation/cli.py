"""`adora eval`: measure models, on benchmarks in stages or on a data folder in one go."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from evaluation.scoring import ScoredResponse
    from evaluation.stages import Run

USAGE = """adora eval COMMAND ...

  list                                      benchmarks, and what to do to have their data
  run BENCHMARK --model M --out OUT         generate, score and report
  generate BENCHMARK --model M --out OUT    answers only; the same command goes on after a kill
  score OUT                                 verdicts from answers, without a model
  score --responses FILE --format F         published answers of other harnesses
  report OUT                                results.json, report.md and report.html
  compare OUT1 OUT2                         paired test, and what flipped
  --model M --data FOLDER --out OUT         a plain data folder in one go

  adora eval COMMAND --help explains each.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; mistakes raise ValueError."""
    words = list(argv or [])
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if words else 2
    command = COMMANDS.get(words[0])
    if command is not None:
        return command(words[1:])
    if not words[0].startswith("-"):
        raise ValueError(f"no command {words[0]!r}; adora eval --help lists them")
    return _folder(words)


# --------------------------------------------------------------------------------- benchmarks


def _list(words: list[str]) -> int:
    parser = _Parser(prog="adora eval list", description="What can be measured here.")
    parser.add_argument("--get", action="store_true", help="how to get the data that is absent")
    show_all = parser.parse_args(words).get
    from evaluation.benchmarks import BENCHMARKS
    from evaluation.problems import find_data

    for name, benchmark in BENCHMARKS.items():
        try:
            place = str(find_data(benchmark, None))
        except ValueError:
            place = "absent"
        items = "?" if benchmark.items is None else str(benchmark.items)
        print(f"{name:<20} {items:>5} problems  {place:<28} {benchmark.title}")
        if place == "absent" and show_all:
            print(f"{'':<20} {benchmark.get}")
    if not show_all:
        print("data that is absent: adora eval list --get says how to have it, --data where it is")
    return 0


def _generate_parser(name: str) -> _Parser:
    parser = _Parser(prog=f"adora eval {name}")
    add = parser.add_argument
    add("benchmark", help="a name of `adora eval list`")
    add("--model", required=True, help="HF folder, hub name, `embedded`, or the endpoint's name")
    add("--out", required=True, type=Path, help="folder of the run")
    add("--data", help="data folder, or the source's own files (default: data/BENCHMARK)")
    add("--limit", type=int, help="the first problems only")
    add("--backend", default="transformers", help="transformers, vllm or openai")
    add("--prompt", default="", help="plain, boxed, letter, or a text with {question}")
    add("--system-prompt", default="")
    add("--samples", type=int, default=1, help="per problem")
    add("--temperature", type=float, default=0.0, help="0 is greedy")
    add("--top-p", type=float, default=1.0)
    add("--max-new-tokens", type=int, default=2048)
    add("--seed", type=int, default=0)
    add("--batch", type=int, default=16, help="problems that a local engine answers together")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    add("--threads", type=int, default=1, help="CPU threads per local process")
    add("--min-pixels", type=int)
    add("--max-pixels", type=int)
    add("--max-prompt-tokens", type=int, default=8192)
    add("--workers", type=int, default=1, help="local processes that share the problems")
    add("--shard", help="i/n: only this share of the batches, for several machines")
    endpoint = parser.add_argument_group("endpoints (--backend openai)")
    add = endpoint.add_argument
    add("--base-url", default="", help="for instance http://host:8000/v1")
    add("--concurrency", type=int, default=16, help="requests in flight")
    add("--timeout", dest="timeout_s", type=float, default=600.0, help="seconds per attempt")
    add("--retries", type=int, default=6)
    add("--pause", dest="pause_s", type=float, default=1.0, help="seconds before the first retry")
    add("--key-variable", default="OPENAI_API_KEY", help="environment variable with the key")
    add("--extra", type=_json_object, default={}, help="JSON merged into every request")
    return parser


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--checker-workers", type=int, default=2)
    for role, does in (("extractor", "finds unread answers"), ("judge", "says right or wrong")):
        add(f"--{role}-url", default="", help=f"endpoint of a model that {does} (default: none)")
        add(f"--{role}-model", default="")
        add(f"--{role}-key-variable", default="OPENAI_API_KEY")
    add("--judge-for", choices=("unparsed", "wrong"), default="unparsed", help="what it is asked")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-items", type=int, default=1000, help="problems on the HTML page")


def _generate(words: list[str]) -> int:
    _run_generate(_generate_parser("generate").parse_args(words))
    return 0


def _run_generate(arguments: argparse.Namespace) -> None:
    from evaluation.generate import generate, generate_in_workers
    from evaluation.settings import GenerateSettings

    names = {field.name for field in fields(GenerateSettings)}
    settings = GenerateSettings(**{k: v for k, v in vars(arguments).items() if k in names})
    if arguments.workers < 1:
        raise ValueError(f"--workers must be at least 1, not {arguments.workers}")
    if arguments.workers > 1 and arguments.shard is None:
        if settings.backend == "openai":
            raise ValueError("--workers is for local engines; endpoints take --concurrency")
        generate_in_workers(settings, arguments.workers)
    else:
        generate(settings, shard=_shard(arguments.shard))


def _run(words: list[str]) -> int:
    parser = _generate_parser("run")
    _add_scoring(parser)
    _add_report(parser)
    arguments = parser.parse_args(words)
    if arguments.shard is not None:
        raise ValueError("--shard is for adora eval generate; score and report when all are done")
    _run_generate(arguments)
    from evaluation.stages import open_run

    run = open_run(arguments.out, arguments.data)
    _score_run(run, arguments)
    return _write_report(run, arguments.max_items)


def _write_report(run: Run, max_items: int) -> int:
    from evaluation.markdown import headline
    from evaluation.stages import report_run

    results = report_run(run, max_items=max_items)
    print(f"{run.benchmark.name}: {headline(results)}; {run.folder / 'report.html'}")
    return 0


def _score_run(run: Run, arguments: argparse.Namespace) -> list[ScoredResponse]:
    from evaluation.referees import build_referees
    from evaluation.stages import score_run

    referees = build_referees(vars(arguments), run.folder)
    return score_run(run, workers=arguments.checker_workers, referees=referees)


def _score(words: list[str]) -> int:
    parser = _Parser(prog="adora eval score")
    parser.add_argument("out", type=Path, nargs="?", help="folder of the run")
    parser.add_argument("--data", help="where the problems lie now, if they moved")
    _add_scoring(parser)
    _add_report(parser)
    published = parser.add_argument_group("published answers")
    add = published.add_argument
    add("--responses", type=Path, help="file of answers from another harness")
    add("--format", help="vlmevalkit, mathvista, mathv or qwen-math")
    add("--benchmark", help="whose profile scores them (default: by the format)")
    add("--to", type=Path, help="folder for the verdicts (default: beside the file)")
    arguments = parser.parse_args(words)
    if arguments.responses is not None:
        return _rescore(arguments)
    if arguments.out is None:
        raise ValueError("give the folder of a run, or --responses FILE --format F")
    from evaluation.stages import open_run

    rows = _score_run(open_run(arguments.out, arguments.data), arguments)
    right = sum(row.correct for row in rows)
    print(f"{arguments.out}: {right} of {len(rows)} right; adora eval report {arguments.out}")
    return 0


def _rescore(arguments: argparse.Namespace) -> int:
    from evaluation.referees import build_referees
    from evaluation.rescore import rescore

    path = arguments.responses
    folder = arguments.to or path.parent / f"{path.stem}.rescored"
    print(
        rescore(
            path,
            arguments.format,
            benchmark=arguments.benchmark,
            data=arguments.data,
            out=folder,
            workers=arguments.checker_workers,
            referees=build_referees(vars(arguments), folder),
        )
    )
    return 0


def _report(words: list[str]) -> int:
    parser = _Parser(prog="adora eval report")
    parser.add_argument("out", type=Path, help="folder of a scored run")
    parser.add_argument("--data", help="where the problems lie now, if they moved")
    _add_report(parser)
    arguments = parser.parse_args(words)
    from evaluation.stages import open_run

    return _write_report(open_run(arguments.out, arguments.data), arguments.max_items)


def _compare(words: list[str]) -> int:
    parser = _Parser(prog="adora eval compare")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--data", help="where the problems lie now, if they moved")
    parser.add_argument("--out", type=Path, help="folder for comparison.json and .html")
    parser.add_argument("--flips", type=int, default=20, help="how many to print")
    _add_report(parser)
    arguments = parser.parse_args(words)
    from adora_mm.files import write_atomically
    from evaluation.comparison import compare_runs
    from evaluation.stages import open_run, read_side
    from evaluation.viewer import write_viewer

    runs = [open_run(folder, arguments.data) for folder in (arguments.first, arguments.second)]
    sides = (read_side(runs[0]), read_side(runs[1]))
    found = compare_runs(runs[0], runs[1], sides)
    print(found["text"])
    for problem, gain in list(found["flips"].items())[: arguments.flips]:
        print(f"  {gain:+.2f}  {problem}")
    for name, (one, other) in found["settings_that_differ"].items():
        print(f"  {name}: {one} -> {other}")
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        write_atomically(arguments.out / "comparison.json", text)
        write_viewer(
            arguments.out / "comparison.html",
            runs[0].benchmark,
            runs[0].problems,
            sides,
            prompt=runs[0].manifest["prompt"],
            max_items=arguments.max_items,
            comparison=found,
        )
        print(arguments.out / "comparison.html")
    return 0


# ------------------------------------------------------------------------------- a data folder


def _folder(words: list[str]) -> int:
    parser = _Parser(prog="adora eval", description="Measure a model on a data folder.")
    add = parser.add_argument
    add("--model", required=True, help="HF folder, hub name, or `embedded`")
    add("--data", required=True, help="data folder, path or path@split")
    add("--out", required=True, type=Path, help="folder for the results")
    add("--samples", type=int, default=0, help="per problem; 0 is greedy")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    add("--temperature", type=float, default=1.0)
    add("--max-new-tokens", type=int, default=96)
    add("--max-prompt-tokens", type=int, default=4096)
    add("--limit", type=int)
    add("--system-prompt", default="")
    add("--min-pixels", type=int)
    add("--max-pixels", type=int)
    add("--seed", type=int, default=0)
    add("--checker-workers", type=int, default=2)
    arguments = parser.parse_args(words)
    from evaluation.run import EvalRun, run

    names = {field.name for field in fields(EvalRun)}
    result = run(EvalRun(**{k: v for k, v in vars(arguments).items() if k in names}))
    print(
        f"{result.mode}: {result.correct} of {result.n} correct, {result.accuracy:.1%} "
        f"[{result.low:.1%}, {result.high:.1%}]; truncated {result.truncated_frac:.1%}, unparsed "
        f"{result.unparsed_frac:.1%}, check timed out {result.timeout_frac:.1%}; "
        f"{result.mean_tokens:.1f} tokens; {arguments.out}"
    )
    return 0


def _shard(text: str | None) -> Any:
    from evaluation.engines import Shard

    if text is None:
        return Shard()
    index, mark, count = text.partition("/")
    if not (mark and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise ValueError(f"--shard {text!r}: must be i/n with i from 0 to n-1")
    return Shard(index=int(index), count=int(count))


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "list": _list,
    "run": _run,
    "generate": _generate,
    "score": _score,
    "report": _report,
    "compare": _compare,
}

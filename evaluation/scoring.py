"""The second stage: `responses.jsonl` to `verdicts.jsonl`, on the CPU and without a model.

The checker decides under the benchmark's profile, then a published tolerance may overrule it; an
optional extractor helps where no answer was found, and an optional judge has the last word. Scoring
again, with a newer checker or with such models, needs no generation. Answers of one problem that
state the same value share a class, which majority votes count.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adora_mm import __version__
from adora_mm import verify as checker_package
from adora_mm.files import write_atomically
from adora_mm.types import Problem, Verdict
from adora_mm.verify import CheckerPool
from evaluation.benchmarks import Benchmark
from evaluation.referees import NOBODY, Referees
from evaluation.responses import Response

if TYPE_CHECKING:
    from evaluation.extractor import Extractor
    from evaluation.judge import Judge

VERDICTS = "verdicts.jsonl"
SCORING = "scoring.json"
OUTCOMES = ("correct", "incorrect", "unparsed", "timeout", "error")
DECIDERS = ("checker", "benchmark", "extractor", "judge", "engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredResponse:
    """One row of `verdicts.jsonl`."""

    id: str
    problem: str
    sample: int
    outcome: str
    """One of `OUTCOMES`; `error` is no answer at all and never counts as wrong."""
    extracted: str | None
    reason: str
    finish_reason: str
    num_tokens: int | None
    vote: int | None
    """Number of the answer's class among the problem's samples; None where nothing was read."""
    decided_by: str
    """One of `DECIDERS`: the checker, the benchmark (its own check or tolerance), the checker on
    what the extractor found, the judge, or the engine for errors."""

    @property
    def correct(self) -> bool:
        return self.outcome == "correct"


def score_responses(
    benchmark: Benchmark,
    problems: Sequence[Problem],
    responses: Mapping[str, Response],
    pool: CheckerPool,
    referees: Referees = NOBODY,
) -> list[ScoredResponse]:
    """Verdicts in the order of problems and samples; responses to other problems are refused.

    Raises ValueError when a response belongs to none of the problems.
    """
    by_id = {problem.id: problem for problem in problems}
    place = {problem.id: number for number, problem in enumerate(problems)}
    unknown = next((row for row in responses.values() if row.problem not in by_id), None)
    if unknown is not None:
        raise ValueError(f"response {unknown.id}: there is no problem {unknown.problem!r}")
    rows = sorted(responses.values(), key=lambda row: (place[row.problem], row.sample))
    answered = [row for row in rows if row.finish_reason != "error"]
    decided = _decide(benchmark, [(by_id[row.problem], row) for row in answered], pool)
    if referees.extractor is not None:
        decided = _extract(referees.extractor, benchmark, by_id, answered, decided, pool)
    if referees.judge is not None:
        decided = _ask_judge(referees.judge, by_id, answered, decided)
    verdicts = dict(zip((row.id for row in answered), decided, strict=True))
    votes = _votes(benchmark, by_id, answered, {key: v for key, (v, _) in verdicts.items()}, pool)
    return [_row(row, verdicts.get(row.id), votes.get(row.id)) for row in rows]


def _decide(
    benchmark: Benchmark, items: Sequence[tuple[Problem, Response]], pool: CheckerPool
) -> list[tuple[Verdict, str]]:
    own_check, relax = benchmark.own_check, benchmark.relax
    if own_check is not None:
        return [(own_check(problem, row.text), "benchmark") for problem, row in items]
    jobs = [(row.text, problem.answer, problem.choices or None) for problem, row in items]
    verdicts = pool.check_many(jobs, profile=benchmark.profile)
    if relax is None:
        return [(verdict, "checker") for verdict in verdicts]
    relaxed = [
        relax(problem, verdict) for (problem, _), verdict in zip(items, verdicts, strict=True)
    ]
    return [
        (after, "checker" if after is before else "benchmark")
        for before, after in zip(verdicts, relaxed, strict=True)
    ]


def _extract(
    extractor: Extractor,
    benchmark: Benchmark,
    by_id: Mapping[str, Problem],
    rows: Sequence[Response],
    decided: Sequence[tuple[Verdict, str]],
    pool: CheckerPool,
) -> list[tuple[Verdict, str]]:
    """What the extractor says is checked as if it were the response."""
    places = [place for place, (verdict, _) in enumerate(decided) if verdict.outcome == "unparsed"]
    asked = [(by_id[rows[place].problem], rows[place]) for place in places]
    found = [
        (place, problem, replace(row, text=answer))
        for place, (problem, row), answer in zip(
            places, asked, extractor.extract(asked), strict=True
        )
        if answer is not None
    ]
    after = list(decided)
    checked = _decide(benchmark, [(problem, row) for _, problem, row in found], pool)
    for (place, _, _), (verdict, _) in zip(found, checked, strict=True):
        if verdict.outcome != "unparsed":
            reason = f"found by the extractor; {verdict.reason}"
            after[place] = (replace(verdict, reason=reason), "extractor")
    return after


def _ask_judge(
    judge: Judge,
    by_id: Mapping[str, Problem],
    rows: Sequence[Response],
    decided: Sequence[tuple[Verdict, str]],
) -> list[tuple[Verdict, str]]:
    open_places = [place for place, (verdict, _) in enumerate(decided) if not verdict.correct]
    asked = [(by_id[rows[place].problem], rows[place], decided[place][0]) for place in open_places]
    after = list(decided)
    for place, verdict in zip(open_places, judge.decide(asked), strict=True):
        if verdict is not None:
            after[place] = (verdict, "judge")
    return after


def _votes(
    benchmark: Benchmark,
    by_id: Mapping[str, Problem],
    rows: Sequence[Response],
    verdicts: Mapping[str, Verdict],
    pool: CheckerPool,
) -> dict[str, int]:
    """Class numbers of the extracted answers of problems with several samples.

    An answer joins the first class whose first member the checker calls equal to it. Right answers
    are one class by themselves: they all equal the gold.
    """
    groups: dict[str, list[Response]] = {}
    for row in rows:
        if verdicts[row.id].extracted and verdicts[row.id].outcome != "unparsed":
            groups.setdefault(row.problem, []).append(row)
    votes: dict[str, int] = {}
    for problem_id, group in groups.items():
        classes: list[Verdict] = []
        for row in group:
            verdict = verdicts[row.id]
            found = _class_of(benchmark, by_id[problem_id], verdict, classes, pool)
            if found == len(classes):
                classes.append(verdict)
            votes[row.id] = found
    return votes


def _class_of(
    benchmark: Benchmark,
    problem: Problem,
    verdict: Verdict,
    classes: Sequence[Verdict],
    pool: CheckerPool,
) -> int:
    answer = verdict.extracted or ""
    for number, known in enumerate(classes):
        if known.correct == verdict.correct and (known.correct or known.extracted == answer):
            return number
    if verdict.correct or benchmark.own_check is not None or not classes:
        return len(classes)
    places = [number for number, known in enumerate(classes) if not known.correct]
    jobs = [(answer, classes[place].extracted or "", problem.choices or None) for place in places]
    for place, same in zip(
        places, pool.check_answers(jobs, profile=benchmark.profile), strict=True
    ):
        if same.correct:
            return place
    return len(classes)


def _row(row: Response, decided: tuple[Verdict, str] | None, vote: int | None) -> ScoredResponse:
    if decided is None:
        verdict, by = Verdict(outcome="unparsed", extracted=None, reason=row.error), "engine"
    else:
        verdict, by = decided
    return ScoredResponse(
        id=row.id,
        problem=row.problem,
        sample=row.sample,
        outcome=verdict.outcome if decided is not None else "error",
        extracted=verdict.extracted,
        reason=verdict.reason,
        finish_reason=row.finish_reason,
        num_tokens=row.num_tokens,
        vote=vote,
        decided_by=by,
    )


# ------------------------------------------------------------------------------------- files


def write_verdicts(
    folder: Path, rows: Sequence[ScoredResponse], *, run: str, profile: str, referees: Referees
) -> dict[str, Any]:
    """Write `verdicts.jsonl`, then `scoring.json` that vouches for it; returns the latter."""
    text = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    write_atomically(folder / VERDICTS, text)
    facts = {
        "run": run,
        "responses_sha256": file_sha256(folder / "responses.jsonl"),
        "verdicts_sha256": file_sha256(folder / VERDICTS),
        "checker": {"version": __version__, "sha256": checker_sha256(), "profile": profile},
        **referees.facts(Counter(row.decided_by for row in rows)),
    }
    write_atomically(folder / SCORING, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return facts


def read_verdicts(folder: Path, run: str) -> tuple[list[ScoredResponse], dict[str, Any]]:
    """Verdicts and the facts of their scoring.

    Raises ValueError when they are missing, damaged, of another run, or older than the responses.
    """
    again = "run adora eval score again"
    try:
        facts = json.loads((folder / SCORING).read_bytes())
        lines = (folder / VERDICTS).read_bytes().splitlines()
        rows = [ScoredResponse(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{folder}: no readable verdicts; {again}") from error
    if facts.get("run") != run:
        raise ValueError(f"{folder}: the verdicts are of another run ({facts.get('run')}); {again}")
    if facts.get("verdicts_sha256") != file_sha256(folder / VERDICTS):
        raise ValueError(f"{folder / VERDICTS}: was changed after scoring; {again}")
    if facts.get("responses_sha256") != file_sha256(folder / "responses.jsonl"):
        raise ValueError(f"{folder}: responses came after the scoring; {again}")
    return rows, facts


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def checker_sha256() -> str:
    """SHA-256 over the checker's own source: its version, whatever the release says."""
    digest = hashlib.sha256()
    folder = Path(checker_package.__file__).parent
    for file in sorted(folder.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()

"""The answer of a problem, and how far it can be trusted.

`stated`   every literal holds exactly and fixes the answer.
`picture`  a fact that only the picture shows (a tangent, a point on a circle) was needed as well.
`offscale` as stated, but the solution looks unlike the picture, as where a book draws a triangle of
           sides 10, 10, 5 equilateral.
`rounded`  the given numbers contradict each other slightly, as rounded numbers of a book do: one of
           them is left out. All ways to do so must agree within 2 %, and the simplest of their
           values counts, because a rounding error is never a whole number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy

from data_prep.geometry.annotations import Annotation
from data_prep.geometry.exact import exact_form
from data_prep.geometry.figure import Figure, build_figure
from data_prep.geometry.literals import Term
from data_prep.geometry.picture import picture_facts
from data_prep.geometry.solver import FAR, Outcome, givens_of, solve

SPREAD = 0.02
CLASH = 0.03
"""A residual above this is no rounding: the givens contradict each other."""
UNLIKE = 0.8
"""A drift above this has nothing of the picture left."""
FEW = 4
"""Starts for the attempts after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A figure with its outcome."""

    figure: Figure
    outcome: Outcome
    trust: str = ""
    """`stated`, `picture`, `offscale` or `rounded`; empty when there is no answer."""
    exact: sympy.Expr | None = None
    added: tuple[Term, ...] = ()
    """Facts of the picture that were needed."""
    left_out: str = ""
    """The given that contradicts the others."""

    @property
    def solved(self) -> bool:
        return bool(self.trust)

    @property
    def drawn(self) -> tuple[Term, ...]:
        """Facts that the picture shows: those of the diagram that hold, and the added ones."""
        facts = (*self.figure.drawn, *self.added)
        return tuple(fact for fact in facts if str(fact) != self.left_out)


def answer(annotation: Annotation) -> Answer:
    """Solve a problem as stated; else with facts of the picture, or without one given."""
    figure = build_figure(annotation)
    outcome = solve(figure)
    if outcome.status == "solved":
        return _solved(figure, outcome, "stated")
    if outcome.status in ("undetermined", "degenerate", "starts disagree"):
        return _with_picture(figure, outcome)
    if outcome.status == FAR and outcome.drift < UNLIKE:
        return _solved(figure, outcome, "offscale")
    if outcome.status == "no solution" and outcome.residual < CLASH:
        return _without_one(figure, outcome)
    return Answer(figure=figure, outcome=outcome)


def _solved(
    figure: Figure,
    outcome: Outcome,
    trust: str,
    added: tuple[Term, ...] = (),
    left_out: str = "",
) -> Answer:
    assert outcome.value is not None
    return Answer(
        figure=figure,
        outcome=outcome,
        trust=trust,
        exact=exact_form(outcome.value),
        added=added,
        left_out=left_out,
    )


def _with_picture(figure: Figure, first: Outcome) -> Answer:
    for group in picture_facts(figure):
        richer = replace(figure, facts=(*figure.facts, *group))
        outcome = solve(richer, starts=FEW)
        if outcome.status == "solved":
            return _solved(richer, outcome, "picture", tuple(group))
    return Answer(figure=figure, outcome=first)


def _without_one(figure: Figure, first: Outcome) -> Answer:
    found: list[tuple[int, float, str, Outcome]] = []
    for source in givens_of(figure):
        outcome = solve(figure, starts=FEW, without=frozenset({source}))
        if outcome.status == "solved" and outcome.value is not None:
            found.append((_complexity(outcome.value), outcome.drift, source, outcome))
    values = [outcome.value for *_, outcome in found if outcome.value is not None]
    if len(values) < 2 or max(values) - min(values) > SPREAD * min(values):
        detail = "one given each left out: " + ", ".join(f"{value:.6g}" for value in values)
        return Answer(figure=figure, outcome=replace(first, detail=detail if values else ""))
    _, _, source, outcome = min(found, key=lambda item: item[:3])
    return _solved(figure, outcome, "rounded", left_out=source)


def simple_enough(exact: sympy.Expr | None, value: float | None) -> bool:
    """Whether an answer is one that a book would ask for: no fraction of large numbers."""
    if exact is None:
        return value is not None and value >= 0.1
    number = exact.as_coeff_Mul()[0]
    radicands = [int(power.base) for power in exact.atoms(sympy.Pow) if power.base.is_Integer]
    return bool(number.q <= 12 and max(radicands, default=1) <= 1000)


def _complexity(value: float) -> int:
    exact = exact_form(value)
    if exact is None:
        return 4
    if exact.is_Integer:
        return 0
    return 1 if exact.is_Rational and exact.q <= 10 else 2 if exact.is_Rational else 3

"""How problems move between TAS and TDS from visit to visit, as bands between columns."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from adora_mm.report.figures import HEIGHT_PT, WIDTH_PT, LegendEntry, Plot
from adora_mm.report.group_history import Transition
from adora_mm.report.samples import spread
from adora_mm.report.svg import colour, drawing, format_axis, to_svg
from adora_mm.report.wording import percent

MAX_TRANSITIONS = 8
SIDES = {True: ("TAS", 3), False: ("TDS", 2)}
"""Was the group advantageous: its name and its colour, as in the panel of shares."""
COLUMN = 0.1
"""Width of a column; transitions lie 1 apart."""
MOVES = ((True, True), (True, False), (False, True), (False, False))


def migration_plot(transitions: list[Transition]) -> Plot | None:
    """Bands from each visit to the next; many visits are thinned out."""
    if not transitions:
        return None
    chosen = spread(transitions, MAX_TRANSITIONS)
    with drawing("migration", 2 * WIDTH_PT, HEIGHT_PT) as axes:
        for place, transition in enumerate(chosen):
            _draw(axes, place, transition)
        axes.set_xlim(-0.06, len(chosen) + 0.02 * len(chosen))
        axes.set_ylim(0, 1)
        format_axis(axes, percent=True)
        axes.set_xticks(
            [place + 0.5 for place in range(len(chosen))],
            [_label(transition) for transition in chosen],
        )
        axes.set_xlabel("")
        axes.grid(visible=False)
        svg = to_svg(axes, "migration", "Moves between TAS and TDS: " + _in_words(chosen[-1]))
    legend = tuple(
        LegendEntry(label=name, colour=index, dash="", value=_kept(transitions, side))
        for side, (name, index) in SIDES.items()
    )
    return Plot(
        name="migration",
        title="How problems move between TAS and TDS, from one visit to the next",
        note="Problems that were visited again; a band's height is their share.",
        svg=svg,
        legend=legend,
    )


def _draw(axes: Axes, place: int, transition: Transition) -> None:
    """One column of sources, one of targets, four bands between them."""
    share = {move: count / transition.problems for move, count in transition.moves.items()}
    left, right = place + COLUMN, place + 1 - COLUMN
    for x, end in ((place + COLUMN / 2, 0), (place + 1 - COLUMN / 2, 1)):
        bottom = 0.0
        for side, (_, index) in SIDES.items():
            height = sum(value for move, value in share.items() if move[end] is side)
            axes.bar([x], [height], COLUMN, [bottom], color=colour(index), linewidth=0)
            bottom += height
    along = np.linspace(0, 1, 30)
    smooth = along * along * (3 - 2 * along)
    target_bottom = {True: 0.0, False: share[True, True] + share[False, True]}
    source_bottom = 0.0
    for move in MOVES:
        height = share[move]
        low = source_bottom + (target_bottom[move[1]] - source_bottom) * smooth
        axes.fill_between(
            left + (right - left) * along,
            low,
            low + height,
            color=colour(SIDES[move[0]][1]),
            alpha=0.3,
            linewidth=0,
        )
        source_bottom += height
        target_bottom[move[1]] += height


def _label(transition: Transition) -> str:
    visit = transition.visit
    return f"visit {visit} \u2192 {visit + 1} ({transition.problems:,})"


def _kept(transitions: list[Transition], side: bool) -> str:
    stayed = sum(t.moves[side, side] for t in transitions)
    left = sum(t.moves[side, not side] for t in transitions)
    if stayed + left == 0:
        return "none"
    return f"{percent(stayed / (stayed + left), digits=0)} stay"


def _in_words(transition: Transition) -> str:
    names = {side: name for side, (name, _) in SIDES.items()}
    moves = (f"{names[a]} to {names[b]} {transition.moves[a, b]}" for a, b in MOVES)
    return f"{_label(transition)}: {', '.join(moves)}"

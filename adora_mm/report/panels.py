"""Which curves the report shows: a literal table, one entry per drawing."""

from __future__ import annotations

from dataclasses import dataclass

DASHES = {"solid": "", "dashed": "6 3", "dotted": "1.5 2.5", "dashdot": "7 2.5 1.5 2.5"}
"""Line styles as SVG dash patterns, in points; also the legend's."""


def dash_of(index: int) -> str:
    """The line style of a drawing's n-th line, from 0."""
    return list(DASHES)[index % len(DASHES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric in a panel."""

    key: str
    label: str
    colour: int
    dash: str = "solid"
    spread_key: str = ""
    """Metric that holds a standard deviation; drawn as a band around the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves that share one y axis."""

    name: str
    section: str
    """Where it stands on the page: one of `SECTIONS`, or `time`."""
    title: str
    curves: tuple[Curve, ...]
    percent: bool = False
    note: str = ""


SECTIONS = ("learning", "lengths", "adora", "stability")

PANELS = (
    Panel(
        name="reward",
        section="learning",
        title="Reward and accuracy on training rollouts",
        curves=(
            Curve(key="reward/mean", label="reward", colour=1),
            Curve(key="reward/accuracy", label="accuracy", colour=3, dash="dashed"),
            Curve(key="reward/format", label="format", colour=4, dash="dotted"),
        ),
    ),
    Panel(
        name="groups",
        section="learning",
        title="Groups by their answers",
        curves=(
            Curve(key="group/mixed_frac", label="mixed", colour=1),
            Curve(key="group/all_correct_frac", label="all right", colour=3, dash="dashed"),
            Curve(key="group/none_correct_frac", label="all wrong", colour=2, dash="dotted"),
        ),
        percent=True,
        note="Only mixed groups teach by accuracy.",
    ),
    Panel(
        name="length",
        section="lengths",
        title="Response length (tokens)",
        curves=(
            Curve(key="rollout/length_mean", label="all", colour=1),
            Curve(key="length/correct", label="right", colour=3, dash="dashed"),
            Curve(key="length/incorrect", label="wrong", colour=2, dash="dotted"),
        ),
    ),
    Panel(
        name="cut",
        section="lengths",
        title="Cut off, and without an answer",
        curves=(
            Curve(key="rollout/truncated_frac", label="cut off", colour=2),
            Curve(key="rollout/unparsed_frac", label="no answer found", colour=6, dash="dotted"),
        ),
        percent=True,
        note="Shares of the rollouts.",
    ),
    Panel(
        name="adora-share",
        section="adora",
        title="ADORA: share of groups",
        curves=(
            Curve(key="adora/tas_frac", label="advantageous (TAS)", colour=3),
            Curve(key="adora/tds_frac", label="disadvantageous (TDS)", colour=2, dash="dashed"),
        ),
        percent=True,
    ),
    Panel(
        name="adora-weight",
        section="adora",
        title="ADORA: mean weight of a group",
        curves=(
            Curve(
                key="adora/weight_mean",
                label="weight",
                colour=4,
                spread_key="adora/weight_std",
            ),
            Curve(
                key="adora/effective_lr_factor",
                label="of what moves the policy",
                colour=1,
                dash="dashed",
            ),
        ),
        note="Band: one standard deviation over groups.",
    ),
    Panel(
        name="kl",
        section="stability",
        title="KL divergence (nats per token)",
        curves=(
            Curve(key="loss/kl", label="to the reference", colour=1),
            Curve(key="mismatch/kl", label="engine mismatch", colour=2, dash="dashed"),
        ),
    ),
    Panel(
        name="entropy",
        section="stability",
        title="Entropy (nats per token)",
        curves=(
            Curve(key="loss/entropy", label="of scored tokens", colour=1),
            Curve(key="rollout/entropy", label="of all rollouts", colour=2, dash="dashed"),
        ),
    ),
    Panel(
        name="grad-norm",
        section="stability",
        title="Gradient norm",
        curves=(Curve(key="optim/grad_norm", label="before clipping", colour=1),),
    ),
    Panel(
        name="clip",
        section="stability",
        title="Clipped, corrected and left out",
        curves=(
            Curve(key="loss/clip_frac", label="tokens clipped", colour=2),
            Curve(key="mismatch/corrected_frac", label="tokens corrected", colour=4, dash="dashed"),
            Curve(
                key="optim/skipped_update_frac", label="updates skipped", colour=6, dash="dotted"
            ),
        ),
        percent=True,
    ),
    Panel(
        name="ratio",
        section="stability",
        title="Largest ratio of probabilities",
        curves=(
            Curve(key="loss/ratio_max", label="policy to old policy", colour=1),
            Curve(key="mismatch/ratio_max", label="trainer to engine", colour=2, dash="dashed"),
        ),
    ),
)

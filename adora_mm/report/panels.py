"""Which curves the report shows: a literal table, one entry per drawing."""

from __future__ import annotations

from dataclasses import dataclass

DASHES = {"solid": "", "dashed": "6 3", "dotted": "1.5 2.5", "dashdot": "7 2.5 1.5 2.5"}
"""Line styles as SVG dash patterns, in points; also the legend's."""


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
    title: str
    curves: tuple[Curve, ...]
    percent: bool = False
    note: str = ""


PANELS = (
    Panel(
        name="reward",
        title="Reward and accuracy on training rollouts",
        curves=(
            Curve(key="reward/mean", label="reward", colour=1),
            Curve(key="reward/accuracy", label="accuracy", colour=3, dash="dashed"),
            Curve(key="reward/format", label="format", colour=4, dash="dotted"),
        ),
    ),
    Panel(
        name="length",
        title="Response length (tokens)",
        curves=(
            Curve(key="rollout/length_mean", label="all", colour=1),
            Curve(key="length/correct", label="right", colour=3, dash="dashed"),
            Curve(key="length/incorrect", label="wrong", colour=2, dash="dotted"),
        ),
    ),
    Panel(
        name="adora-share",
        title="ADORA: share of groups",
        curves=(
            Curve(key="adora/tas_frac", label="advantageous (TAS)", colour=3),
            Curve(key="adora/tds_frac", label="disadvantageous (TDS)", colour=2, dash="dashed"),
        ),
        percent=True,
    ),
    Panel(
        name="adora-weight",
        title="ADORA: mean weight of a group",
        curves=(
            Curve(
                key="adora/weight_mean",
                label="weight",
                colour=4,
                spread_key="adora/weight_std",
            ),
        ),
        note="Band: one standard deviation over groups.",
    ),
    Panel(
        name="kl",
        title="KL divergence (nats per token)",
        curves=(
            Curve(key="loss/kl", label="to the reference", colour=1),
            Curve(key="mismatch/kl", label="engine mismatch", colour=2, dash="dashed"),
        ),
    ),
    Panel(
        name="entropy",
        title="Entropy (nats per token)",
        curves=(Curve(key="loss/entropy", label="entropy", colour=1),),
    ),
    Panel(
        name="grad-norm",
        title="Gradient norm",
        curves=(Curve(key="optim/grad_norm", label="before clipping", colour=1),),
    ),
    Panel(
        name="shares",
        title="Clipped, cut off, informative",
        curves=(
            Curve(key="loss/clip_frac", label="tokens clipped", colour=2),
            Curve(key="rollout/truncated_frac", label="rollouts cut off", colour=6, dash="dotted"),
            Curve(key="group/mixed_frac", label="groups mixed", colour=3, dash="dashed"),
        ),
        percent=True,
        note="Mixed groups hold both right and wrong answers.",
    ),
)

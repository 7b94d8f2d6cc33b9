"""MathVerse: the same 788 problems with ever more of the text moved into the picture.

Data: ZrrSkywalker/MathVerse (Zhang et al., ECCV 2024), MIT. `mathverse` is testmini, 3,940 problems
(five versions with a picture); `mathverse_text` is the text-only version, 788.
Official protocol: https://github.com/ZrrSkywalker/MathVerse: a GPT model extracts the answer, and
another call judges it against the gold; a CoT score rates single steps.
Metric: accuracy, of all and by version. The versions of one problem are one cluster, so the
interval is that of problems, not of rows. Breakdown: version, subject, subfield, question type.
Different here: the checker decides; an extractor and a judge are optional (docs/evaluation.md). The
official average of the paper's tables leaves the text-only version out, as `mathverse` does.
No CoT score (0.7 times the mean mark of the steps plus 0.3 times the final answer's): its marks are
opinions of one GPT-4V release about steps that a GPT-4 release had picked out, without gold steps
to check them by. Another judge gives another number, which cannot stand beside the published ones.
"""

from __future__ import annotations

from functools import partial

from data_prep.sources import mathverse as source
from evaluation.benchmarks.base import Benchmark

_LINK = "https://github.com/ZrrSkywalker/MathVerse"
_GET = (
    "get testmini.json, testmini_text_only.json and images/ of AI4Math/MathVerse in one folder, "
    "then: adora prep mathverse --from FOLDER --split {split} --out data/{name}"
)

BENCHMARKS = tuple(
    Benchmark(
        name=name,
        title=title,
        source="mathverse",
        split=split,
        items=items,
        link=_LINK,
        metric="accuracy",
        categories=("version", "subject", "subfield", "question_type"),
        cluster="problem_index",
        get=_GET.replace("{split}", split).replace("{name}", name),
        annotations=partial(source.read, images=False),
    )
    for name, title, split, items in (
        ("mathverse", "MathVerse (testmini, all versions with picture)", "testmini", 3940),
        ("mathverse_text", "MathVerse (text only)", "testmini_text_only", 788),
    )
)

"""A run's results as Markdown, and as the one line that every command prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adora_mm.files import write_atomically


def share(value: float | None) -> str:
    """A percentage with one decimal; a dash for None."""
    return "–" if value is None else f"{100 * value:.1f}%"


def score_text(score: Mapping[str, Any]) -> str:
    """`12.5% [9.2%, 16.7%]`."""
    if score["accuracy"] is None:
        return "nothing was scored"
    return f"{share(score['accuracy'])} [{share(score['low'])}, {share(score['high'])}]"


def headline(results: Mapping[str, Any]) -> str:
    """The score with everything that must stand beside it."""
    score, rates, tokens = results["score"], results["rates"], results["tokens"]
    parts = [f"{score['correct']} of {score['n']} right, {score_text(score)} ({score['interval']})"]
    parts += [
        f"{name} {share(rates[key])}"
        for name, key in (
            ("no answer found", "unparsed"),
            ("cut off", "truncated"),
            ("check timed out", "timeout"),
            ("no reply", "error"),
        )
    ]
    if tokens["mean"] is not None:
        parts.append(f"{tokens['mean']:.1f} tokens on average")
    parts += [
        f"decided by the {name} {results['decided_by'][name]}"
        for name in ("extractor", "judge")
        if results["decided_by"][name]
    ]
    if results["worst_case"]:
        parts.append(f"worst case {share(results['worst_case']['accuracy'])}")
    if not results["complete"]:
        missing = results["missing"]
        parts.append(
            f"INCOMPLETE: {missing} samples missing, {share(rates['error'])} without reply"
        )
    return "; ".join(parts)


def write_markdown(path: Path, results: Mapping[str, Any]) -> None:
    """Write the report."""
    write_atomically(path, "\n".join(_lines(results)) + "\n")


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    manifest = results["manifest"]
    yield f"# {results['title']}: {_cell(results['model'])}"
    yield ""
    yield f"{headline(results)}."
    yield ""
    if results["score_without_errata"] is not None:
        count = len(results["errata"])
        yield (
            f"Without {count} problems whose gold is known to be broken: "
            f"{score_text(results['score_without_errata'])}."
        )
        yield ""
    yield from _table(
        ("setting", "value"),
        [
            ("problems, samples each", f"{results['problems']}, {results['samples']}"),
            ("metric", results["metric"]),
            ("temperature, top-p", _pair(manifest["sampling"], "temperature", "top_p")),
            ("token limit", manifest["sampling"]["max_new_tokens"]),
            ("seed", manifest["sampling"]["seed"]),
            ("engine", manifest["backend"]["name"]),
            ("model", manifest["model"]["path"]),
            ("model SHA-256", manifest["model"]["sha256"] or "unknown"),
            ("data fingerprint", manifest["data"]["fingerprint"]),
            ("prompt SHA-256", manifest["prompt"]["sha256"]),
            ("checker SHA-256", results["scoring"]["checker"]["sha256"]),
            ("checker profile", results["scoring"]["checker"]["profile"]),
            ("extractor", _referee(results["scoring"].get("extractor"))),
            ("judge", _referee(results["scoring"].get("judge"))),
            ("run", results["run"]),
        ],
    )
    if results["at_k"]:
        yield from _table(
            ("k", "pass@k", "avg@k", "maj@k"),
            [
                (k, share(row["pass"]), share(row["average"]), share(row["majority"]))
                for k, row in results["at_k"].items()
            ],
        )
    if results["own"]:
        rows = [(name, _number(value)) for name, value in results["own"].items()]
        yield from _table(("own score", "value"), rows)
    for key, values in results["categories"].items():
        yield from _table(
            (key, "problems", "accuracy", "95% interval"),
            [
                (
                    value,
                    score["problems"],
                    share(score["accuracy"]),
                    f"{share(score['low'])} – {share(score['high'])}",
                )
                for value, score in values.items()
            ],
        )
    if results["errata"]:
        yield from _table(("broken gold", "reason"), list(results["errata"].items()))


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(str(value)) for value in row) + " |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _pair(values: Mapping[str, Any], *names: str) -> str:
    return ", ".join(str(values[name]) for name in names)


def _referee(model: Mapping[str, Any] | None) -> str:
    return "none" if model is None else f"{model['model']}, decided {model['decided']}"


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)

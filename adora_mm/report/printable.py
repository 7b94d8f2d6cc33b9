"""Texts of models and data files, made printable and bounded."""

from __future__ import annotations

HEAD_CHARS, TAIL_CHARS = 3_000, 1_500
"""A longer text keeps its beginning and its end, where the final answer stands."""
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {0x7F: 0x2421}
_VISIBLE |= dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)


def printable(text: str) -> str:
    """Make untrusted text printable and bounded; escaping it is the template's work.

    Control characters become their visible symbols, lone surrogates (legal in JSON, not in UTF-8)
    question marks, and characters that reverse the reading direction (they can make one answer
    look like another) the replacement character.
    """
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        dropped = len(text) - HEAD_CHARS - TAIL_CHARS
        text = f"{text[:HEAD_CHARS]}\n[… {dropped:,} characters left out …]\n{text[-TAIL_CHARS:]}"
    text = text.encode("utf-8", errors="replace").decode("utf-8")
    return text.replace("\r\n", "\n").translate(_VISIBLE)

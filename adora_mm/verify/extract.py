r"""Finding the final answer in a response: one rule per place, each named in the verdict.

Strict (reward): exactly one final `\boxed{}` or `<answer>` outside `<think>`; two boxes that differ
are ambiguous. Lenient (eval): the last box, the last answer tag, an "Answer:" line, a marker line
(`#### 18`), a choice letter, the last number; the first rule that finds something decides.
All scans are linear in the length of the response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from adora_mm.verify.limits import MAX_BOX_CHARS, MAX_BOXES, MAX_RESPONSE_CHARS

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=[{\s\d])")
_THINK = re.compile(r"<(/?)think>", re.IGNORECASE)
_BRACES = re.compile(r"[{}\\]")
_ANSWER = re.compile(
    r"\banswer(?:\s+choice)?[*_ \t]{0,6}(?::|=|\bis\b|\bare\b)[*_\s:]{0,6}"
    r"|^#{1,6}[ \t]{1,4}(?:final[ \t]{1,4})?answer[*_ \t]{0,6}\n\s{0,6}"
    r"|答案[是为选]?[*_\s:：]{0,6}",
    re.IGNORECASE | re.MULTILINE,
)
_MARKER = re.compile(r"####[ \t]{0,6}")
_LETTER = re.compile(
    r"\(([A-J])\)|\b([A-J])[.)](?=\s|$)|^[ \t*]{0,6}([A-J])[ \t*]{0,6}$", re.MULTILINE
)
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)%?")
_DRESSES = frozenset("*_`\"'")
_BOLD_START = re.compile(r"^\*\*([^*]{1,200})\*\*")
_TAIL = 4_000
_LINE_CHARS = 400


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates for the final answer and the rule that found them."""

    answers: tuple[str, ...]
    rule: str


def outside_think(response: str) -> str:
    """The response without its reasoning; an unclosed `<think>` takes everything after it."""
    if "<" not in response or _THINK.search(response) is None:
        return response
    kept: list[str] = []
    position, inside = 0, False
    for tag in _THINK.finditer(response):
        if not tag.group(1):
            if not inside:
                kept.append(response[position : tag.start()])
            inside = True
        else:
            if not inside:
                kept = []  # the opening tag was part of the prompt
            inside, position = False, tag.end()
    if not inside:
        kept.append(response[position:])
    return " ".join(kept)


def boxes(text: str) -> tuple[list[str], bool]:
    """Contents of all outermost boxes in order, and whether one of them never closes."""
    found: list[str] = []
    broken, position = False, 0
    while True:
        match = _BOX.search(text, position)
        if match is None:
            return found, broken
        start = match.end()
        if start >= len(text) or text[start] != "{":
            token = re.compile(r"[^\s$.,]{1,40}").match(text, start)
            position = token.end() if token else start + 1
            if token:
                found.append(token.group())
            continue
        end = _closing(text, start)
        if end is None:
            # What follows an unclosed brace cannot be told from its contents.
            return found, True
        found.append(_innermost(text[start + 1 : end]))
        position = end + 1
        if len(found) > MAX_BOXES:
            return found, broken


def unwrap(answer: str) -> str:
    r"""An answer that is nothing but a box, or bold text, without that dress."""
    stripped = answer.strip()
    if stripped[:1] in _DRESSES:
        stripped = _undressed(stripped)
    dollars = stripped.strip("$ .,;") if "box" in stripped else stripped
    return _innermost(dollars) if dollars.startswith(("\\boxed", "\\fbox")) else stripped


def _undressed(answer: str) -> str:
    """Markdown around the whole answer, or bold text at its beginning: `**Answer:** 5`."""
    for mark in ("**", "__", "`", "*", "_", '"', "'"):
        inner = answer[len(mark) : -len(mark)]
        if len(answer) > 2 * len(mark) and answer == mark + inner + mark and mark not in inner:
            return inner.strip()
    return _BOLD_START.sub(r"\1", answer)


def _innermost(content: str) -> str:
    stripped = content.strip()
    for _ in range(8):
        match = _BOX.match(stripped)
        if match is None or stripped[match.end() : match.end() + 1] != "{":
            break
        end = _closing(stripped, match.end())
        if end is None or stripped[end + 1 :].strip():
            break
        stripped = stripped[match.end() + 1 : end].strip()
    return stripped


def _closing(text: str, start: int) -> int | None:
    depth, position = 0, start
    while True:
        match = _BRACES.search(text, position)
        if match is None:
            return None
        position = match.end()
        if position - start > MAX_BOX_CHARS:
            return None
        sign = match.group()
        if sign == "\\":
            position += 1
        elif sign == "{":
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return match.start()


def answer_tags(text: str) -> tuple[list[str], str]:
    """Contents of all closed `<answer>` tags in order, and the text outside them."""
    found: list[str] = []
    outside: list[str] = []
    lowered, position = text, 0
    if "<ANSWER>" in text or "<Answer>" in text:
        lowered = text.replace("ANSWER>", "answer>").replace("Answer>", "answer>")
    while (start := lowered.find("<answer>", position)) >= 0:
        end = lowered.find("</answer>", start)
        if end < 0:
            break
        outside.append(text[position:start])
        inner = text[start + len("<answer>") : end]
        boxed, _ = boxes(inner)
        found.append(boxed[-1] if boxed else inner.strip())
        position = end + len("</answer>")
        if len(found) > MAX_BOXES:
            break
    outside.append(text[position:])
    return found, " ".join(outside)


def find_strict(response: str) -> Found:
    """The final answer for rewards; several distinct candidates are all returned."""
    text = outside_think(response)
    tagged, outside = answer_tags(text) if "<" in text else ([], text)
    if tagged:
        boxed = boxes(outside)[0] if "box" in outside else []
        return Found(tuple(dict.fromkeys([*tagged, *boxed])), "answer tag")
    if "box" not in text:
        return Found((), "no final box or answer tag")
    found, broken = boxes(text)
    if broken:
        return Found((), "a box is not closed")
    return Found(tuple(dict.fromkeys(found)), "box")


def find_lenient(response: str, *, choices: bool) -> Found:
    """The final answer for benchmarks: the first rule of the cascade that finds one."""
    text = outside_think(response) or response[-_TAIL:]
    found, _ = boxes(text)
    if found:
        return Found((found[-1],), "last box")
    tagged, _ = answer_tags(text)
    if tagged:
        return Found((tagged[-1],), "last answer tag")
    tail = text[-_TAIL:]
    for pattern, rule in ((_MARKER, "marker line"), (_ANSWER, "answer line")):
        ends = [match.end() for match in pattern.finditer(tail)]
        line = tail[ends[-1] :].partition("\n")[0][:_LINE_CHARS].strip() if ends else ""
        if line:
            return Found((_clean_line(line),), rule)
    if choices and (letters := _LETTER.findall(tail)):
        return Found(("".join(letters[-1]),), "choice letter")
    numbers = [number for number in _NUMBER.findall(tail) if number]
    if len(tail.strip()) <= 40 and tail.strip():
        return Found((tail.strip(),), "short response")
    if numbers:
        return Found((numbers[-1],), "last number")
    return Found((), "no answer found")


def _clean_line(line: str) -> str:
    line = line.strip().strip("*_ ")
    match = re.match(r"\$([^$]+)\$|\\\((.+?)\\\)", line)
    if match:
        return next(group for group in match.groups() if group)
    sentence = re.split(r"(?<=[^\d.])\.\s|\.$", line, maxsplit=1)[0]
    return sentence.strip().strip("*_ ")


def find_answer(response: str, *, strict: bool, choices: bool = False) -> Found:
    """Dispatch of a response to the strict or the lenient rules."""
    if len(response) > MAX_RESPONSE_CHARS:
        return Found((), f"the response is longer than {MAX_RESPONSE_CHARS} characters")
    return find_strict(response) if strict else find_lenient(response, choices=choices)

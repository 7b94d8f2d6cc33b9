r"""Phrases around an answer: lead-ins, remarks, "3 out of 8", "2 dozen", "all reals except 2".

Everything works on normalised text, before the tokenizer; each rule is guarded by a word that must
occur, so that formulas pay for a few substring searches only.
"""

from __future__ import annotations

import re

_LEAD = re.compile(
    r"^(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:(?:final|correct)\s+)?"
    r"(?:answer|result)\s*(?:is|are|=|:)\s*:?\s*"
    r"|^\\(?:therefore|to)(?![a-zA-Z])\s*|^~\s*(?=\d)|^(?:so|thus|therefore|hence),?\s+"
    r"|^(?:about|around|approximately|approx\.?|roughly|exactly)\s+(?=[\d\\-])"
    r"|^(?:at\s+)?(?:the\s+)?point\s+(?=\(|[A-Z]$)"
    r"|^[故因此所以则]{0,2},?\s*(?:正确)?(?:答案|结果|答|解|选项|选|等于|大约|约)[是为选]?\s*[:=]?\s*"
    r"|^(?:an?\s+|the\s+)?(?:bearing|ratio)\s+(?:of\s+)?(?=\d)"
    r"|^US\s?(?=\\usd)",
    re.IGNORECASE,
)
_TRAIL = re.compile(r"(?<=[\w)}\]%°$|!'])(?:\s*[.;,])+\s*$")
_ALL_TEXT = re.compile(r"^\\text\s*\{\s*(-?\d[^{}]*)\}$")
_PLACES = (
    r"(?:\d+|one|two|three|four|five)\s*(?:d\.?\s?p\.?|s\.?\s?f\.?|sig\.?\s?figs?\.?"
    r"|decimals?|decimal\s+places?|significant\s+(?:figures|digits))"
)
_NEAREST = (
    r"nearest\s+(?:whole\s+number|integer|whole|unit|degree|minute|cent|dollar|ten|hundred"
    r"|thousand|tenth|hundredth|thousandth|centimet(?:er|re)|met(?:er|re)|inch|foot|mile|percent)s?"
)
_ROUNDING = (
    rf"(?:(?:rounded|correct|accurate|approx(?:imately|\.)?)(?:\s+(?:up|down|off))?\s+)?"
    rf"(?:to\s+)?(?:the\s+)?(?:{_NEAREST}|{_PLACES})|rounded|approx(?:imately|\.)?|exact(?:ly)?"
)
_REMARK = re.compile(
    rf"(?<=\S)\s*(?:\\text\s*\{{\s*)?(?:\(\s*(?:{_ROUNDING})\s*\)|,?\s*(?:(?:rounded|correct)\s+)?"
    rf"to\s+(?:the\s+)?(?:{_NEAREST}|{_PLACES}))\s*\}}?$",
    re.IGNORECASE,
)
_EXCEPT = re.compile(
    r"^(?:x\s+(?:can be|is|=)\s+)?(?:any|all|every)\s+real\s*(?:numbers?|values?)?s?"
    r"\s*(?:of\s+)?x?,?\s*(?:except|other\s+than|but|excluding|not\s+equal\s+to)(?:\s+for)?\s+(?:x\s*=\s*)?(.+)$"
    r"|^\\mathbb\s*\{?\s*R\s*\}?\s*(?:except)(?:\s+for)?\s+(?:x\s*=\s*)?(.+)$",
    re.IGNORECASE,
)
_OUT_OF = re.compile(r"(?<![\w.,/])(\d+)\s*(?:\\text\s*\{)?\s*out\s+of\s*\}?\s*(?:every\s+)?(\d+)")
_ONE_IN = re.compile(r"(\d+)\s+in\s+(\d+)")
_AND_PART = re.compile(
    r"^(-?\d+) and (?:(a|one) (half|third|quarter)|(\d+/\d+|\\frac\{\d+\}\{\d+\}))(?!\w)"
)
_AND_SMALLER = re.compile(
    r"(?<=\d)(\s*(?:hours?|hrs?|h|minutes?|min|feet|foot|ft|pounds?|lbs?|degrees?))"
    r"\s+and\s+(?=\d+(?:\.\d+)?\s*(?:min|sec|inch|in\b|ounce|oz))"
)
_NAMED_PARTS = {"half": "1/2", "third": "1/3", "quarter": "1/4"}
_REPEATING = re.compile(r"^(-?\d*)\.(\d)\s*\(?(?:repeating|recurring)\)?$")
_CURRENCY_CODE = re.compile(r"(USD|EUR|GBP)\s*(?=\d)")
_CODES = {"USD": "usd", "EUR": "euro", "GBP": "pound"}
_SIGNS = {"\\perp": "perpendicular", "\\parallel": "parallel"}
_IS_ANSWER = re.compile(r"(?<=\S)\s+is\s+the\s+(?:final\s+|correct\s+)?answer$")
_ROOT = re.compile(r"(?:the\s+)?\b(?:(square|cube)\s+)?root\s+(?:of\s+)?(\d+)(?![\w.])")
_ROOTS = {None: "\\sqrt", "square": "\\sqrt", "cube": "\\sqrt[3]"}
_THAN = re.compile(
    r"(?<=[\w)])\s+(?:is\s+)?(greater|more|less)\s+than\s+(or\s+equal\s+to\s+)?(?=[-\d\\a-z])",
    re.IGNORECASE,
)
_ORDERS = {
    ("greater", False): " > ", ("greater", True): " \\ge ", ("more", False): " > ",
    ("more", True): " \\ge ", ("less", False): " < ", ("less", True): " \\le ",
}  # fmt: skip
_DOZEN = re.compile(r"(?<=[\d}])\s*(?:\\text\s*\{\s*)?dozens?\b\s*\}?|^(?:a|one)\s+dozen\b")
_SMALL, _KIND = r"\{?\s*(\d{1,3})\s*\}?", r"(?:\\text\s*\{\s*)?([CPA])(?:\s*\})?"
_COUNTED = re.compile(
    rf"(?:\{{\s*\}}\s*|(?<![A-Za-z\d}})]))[_^]\s*{_SMALL}\s*{_KIND}\s*_\s*{_SMALL}"
    rf"|(?<![\w\\]){_KIND}\s*_\s*{_SMALL}\s*\^\s*{_SMALL}"
    r"|(?<![\w.])(\d{1,3})([CP])(\d{1,3})(?![\w.])"
)
_COUNTS = frozenset("CPA")
_TAIL = 60
_WRAPPED = re.compile(r"\\text\s*\{([^{}]*)\}")
_INTEGERS = re.compile(
    r"(?:[\s,;(]|\bwhere\b|\bfor\b|\bwith\b)+"
    r"(?:([a-z])\s*\\in\s*(?:\\mathbb\s*)?\{?\s*Z\s*\}?"
    r"|(?:(?:any|all|every|some|an)\s+)?integers?\s+([a-z])"
    r"|([a-z])\s+(?:is\s+|being\s+)?(?:an\s+|any\s+)?integers?)\s*\)?$"
)


def strip_phrases(text: str) -> str:
    """An answer without its lead-in, its final points and its remark on rounding."""
    text = _LEAD.sub("", text).strip()
    if text.startswith("\\text"):
        text = _ALL_TEXT.sub(r"\1", text)
    if not text.endswith("..."):
        text = _TRAIL.sub("", text).strip()
    if text.endswith((")", "}")) or text[-1:].isalpha():
        text = _REMARK.sub("", text).strip()
    return _spelled(text) if " " in text or "\\" in text or "C" in text or "P" in text else text


def _spelled(text: str) -> str:
    """Counting phrases as formulas."""
    if text in _SIGNS:
        return _SIGNS[text]
    if "answer" in text:
        text = _IS_ANSWER.sub("", text)
    if "root" in text:
        text = _ROOT.sub(lambda match: f"{_ROOTS[match.group(1)]}{{{match.group(2)}}}", text)
    if "than" in text:
        text = _THAN.sub(lambda match: _ORDERS[match.group(1).lower(), bool(match.group(2))], text)
    if "dozen" in text:
        text = _DOZEN.sub(r" \\times 12 ", text.replace("half a dozen", "6"))
        text = text.replace("\\times 12", "12", 1) if text.startswith(" \\times") else text
    if " of " in text or "{of" in text:
        text = _OUT_OF.sub(r"\\frac{\1}{\2}", text)
    if "and" in text:
        text = _AND_SMALLER.sub(r"\1 ", _AND_PART.sub(_mixed, text))
    if "per cent" in text:
        text = text.replace("per cent", "percent")
    if "repeating" in text or "recurring" in text:
        text = _REPEATING.sub(r"\1.\\overline{\2}", text)
    if (match := _CURRENCY_CODE.match(text)) is not None:
        text = f"\\{_CODES[match.group(1)]} {text[match.end() :]}"
    if " in " in text and (match := _ONE_IN.fullmatch(text)):
        text = f"\\frac{{{match.group(1)}}}{{{match.group(2)}}}"
    if "real" in text or "except" in text:
        match = _EXCEPT.match(text)
        if match is not None:
            points = (match.group(1) or match.group(2)).replace(" and ", ",").replace("x =", "")
            text = f"\\mathbb{{R}} \\setminus \\{{{points}\\}}"
    return _COUNTED.sub(_ways, text) if not _COUNTS.isdisjoint(text) else text


def _mixed(match: re.Match[str]) -> str:
    """`1 and 1/2`, `2 and a half` as mixed numbers."""
    return f"{match.group(1)} {match.group(4) or _NAMED_PARTS[match.group(3)]}"


def _ways(match: re.Match[str]) -> str:
    """`{}_4C_2`, `C_4^2` and `4C2` as binomials, the same with P or A as permutations."""
    parts = [part for part in match.groups() if part is not None]
    kind = next(part for part in parts if part.isalpha())
    top, bottom = (part for part in parts if part.isdigit())
    ways = f"\\binom{{{top}}}{{{bottom}}}"
    return f" {ways}" if kind == "C" else f" ({ways}\\cdot {bottom}!)"


def split_parameter(text: str) -> tuple[str, str]:
    r"""`x = k\pi, k \in \mathbb{Z}` as the family and its letter; no letter without such words."""
    if "Z" not in text and "integer" not in text:
        return text, ""
    unwrapped = _WRAPPED.sub(r" \1 ", text)
    match = _INTEGERS.search(unwrapped, max(0, len(unwrapped) - _TAIL))
    if match is None or match.start() == 0:
        return text, ""
    return unwrapped[: match.start()].strip(), next(filter(None, match.groups()))

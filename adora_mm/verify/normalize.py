"""Spelling only: one canonical text for the many ways of typing the same answer.

Unicode signs, broken encodings, LaTeX spacing and font commands become the few spellings that the
tokenizer knows. Nothing here changes a value, splits a number or drops a sign.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from adora_mm.verify.limits import CACHED_CHARS

SIGNS = {
    "掳": "°", "º": "°", "˚": "°", "∘": "°", "℃": "°C", "\u2032": "'", "\u2033": "''",
    "\u2019": "'",
    "\u2018": "'", "\u201d": "''", "\u201c": "''", "−": "-", "–": "-", "—": "-", "‐": "-",
    "‑": "-",
    "－": "-", "×": "\\times ", "✕": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "∙": "\\cdot ",
    "•": "\\cdot ", "÷": "\\div ", "∗": "*", "√": "\\sqrt ", "∛": "\\sqrt[3] ", "∜": "\\sqrt[4] ",
    "π": "\\pi ", "𝜋": "\\pi ", "∞": "\\infty ", "±": "\\pm ", "∓": "\\mp ", "≤": "\\le ",
    "⩽": "\\le ", "≦": "\\le ", "≥": "\\ge ", "⩾": "\\ge ", "≧": "\\ge ", "≠": "\\ne ",
    "≈": "\\approx ", "≅": "\\cong ", "⊥": "\\perp ", "∼": "\\sim ", "ℤ": "\\mathbb{Z}",
    "∖": "\\setminus ", "Ω": "\\Omega ", "【": "[", "】": "]",
    "≡": "\\equiv ", "∈": "\\in ", "∪": "\\cup ",
    "∩": "\\cap ",
    "∅": "\\emptyset ", "∠": "\\angle ", "∡": "\\angle ", "△": "\\triangle ", "⌊": "\\lfloor ",
    "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil ", "⟨": "\\langle ", "⟩": "\\rangle ",
    "∴": "\\therefore ", "¢": " cents", "⌒": "\\widehat ",
    "∶": ":", "：": ":", "∑": "\\sum ", "∫": "\\int ", "∏": "\\prod ", "…": "\\ldots ", "％": "%",
    "，": ", ", "、": ", ", "。": ".", "；": "; ", "ℝ": "\\mathbb{R}", "→": "\\to ", "∣": "|",
    "⁄": "/",
    "∕": "/", "∥": "\\parallel ", "θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ",
    "γ": "\\gamma ",
    "δ": "\\delta ", "λ": "\\lambda ", "μ": "\\mu ", "µ": "\\mu ", "φ": "\\phi ", "ϕ": "\\phi ",
    "ω": "\\omega ", "σ": "\\sigma ", "度": "°", "€": "\\euro ", "£": "\\pound ", "¥": "\\yen ",
    "￥": "\\yen ",
}  # fmt: skip
CHINESE_WORDS = (
    ("平方单位", " square units"), ("立方单位", " cubic units"), ("个单位", " units"),
    ("平方分米", " dm^2"), ("立方分米", " dm^3"), ("公顷", " hectares"), ("公里", " km"),
    ("弧度", " rad"), ("摄氏度", "°C"), ("分钟", " min"), ("小时", " h"), ("秒", " s"),
    ("千克", " kg"), ("公斤", " kg"), ("毫升", " mL"), ("克", " g"), ("吨", " tonnes"),
    ("升", " L"), ("单位", " units"), ("人民币", " "), ("元", " yuan"), ("无解", "no solution"),
    ("或", " or "), ("面积", "area "), ("周长", "perimeter "), ("体积", "volume "),
    ("高度", "height "), ("宽度", "width "), ("半径", "radius "), ("直径", "diameter "),
    ("和", " and "),
    ("平方厘米", " cm^2"), ("平方毫米", " mm^2"), ("平方千米", " km^2"), ("平方米", " m^2"),
    ("立方厘米", " cm^3"),
    ("立方毫米", " mm^3"), ("立方米", " m^3"), ("千米", " km"), ("分米", " dm"), ("厘米", " cm"),
    ("毫米", " mm"),
    ("海里", " nmi"), ("米", " m"),
)  # fmt: skip
NUMERALS = {sign: str(value) for value, sign in enumerate("零一二三四五六七八九十")}
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
    "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
    "⅞": (7, 8), "⅐": (1, 7), "⅑": (1, 9), "⅒": (1, 10),
}  # fmt: skip
_TABLE = str.maketrans(SIGNS | {sign: f"\\frac{{{a}}}{{{b}}}" for sign, (a, b) in VULGAR.items()})
_CHINESE = re.compile("[\u3001\u4e00-\u9fff]")
_FIRST_OPTION = re.compile(r"^(\s*[A-J])、")
_STATED = re.compile(
    r"(?<=[\w)])\s*的?(?:度数|大小|数值|值|长度|长)?(?:是|为|等于)(?=\s*[-\d\\(√])"
)
_BARRED = re.compile("(?:\\d\u0305)+|(?:\\d\u0307)+")
_PARTS_OF = re.compile(
    r"(?<![\w.])(\d{1,9}|[一二三四五六七八九十])分之(\d{1,9}|[一二三四五六七八九十])(?![\w.])"
)
_COUNTER = re.compile(r"(?<=\d)\s*[个人只条块件名本张种次岁](?=\s*[。.]?\s*$)")
_SUPER = re.compile(f"[{''.join(SUPERSCRIPTS)}]+")
_SUB = re.compile(f"[{''.join(SUBSCRIPTS)}]+")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad\u202a-\u202e\ufe0e\ufe0f]")

_RUN = re.compile(r"\s+")
_LONG_RUN = re.compile(r"\s{4,}")
_TO = re.compile(r"(?<=\d)(?:\s+to\s+|\s*\\text\s*\{\s*to\s*\}\s*)(?=\d)")
_LETTER_TIMES = re.compile(r"(?<=\d) ?x ?(?=10\s*\^)")
_LETTER_DEGREE = re.compile(r"(?<=\d)\s*\^\s*(?:o(?![a-zA-Z])|\{\s*o\s*\})")
_LARGE = re.compile(
    r"(?<=\d)\s+(million|billion)(?![a-zA-Z])|(?<=\d)\s*\\text\s*\{\s*(million|billion)\s*\}"
)
_SIMILAR = re.compile(r"(?<=[A-Z])\s*~\s*(?=\\triangle|△|[A-Z]{3})")
_OHM_UNITS = {"": " ohm ", "k": " kohm ", "M": " megohm "}
_OHMS = re.compile(
    r"(?<=\d)\s*(?:\\text\s*\{\s*([kM]?)\s*(?:\}\s*\\Omega|\\Omega\s*\})|([kM]?)\s*\\Omega)(?![a-zA-Z])"
)
_DEGREES_OF = re.compile(r"(?:°|degrees?)\s*(celsius|fahrenheit)", re.IGNORECASE)
_TEMPERATURE = re.compile(r"°\s*([CF])(?![a-zA-Z])")
_TEXT_COLON = re.compile(r"\\text\s?\{([^{}:]*):\s*\}")
_TEXT_AND = re.compile(r"(?<=\S)\s?\\text\s?\{\s?and\s+(?=\w)")
_OUTWARD = re.compile(
    r"(^|\\cup|\\in(?![a-z])|=)\s{0,4}([\[\]])([^\[\](){},]*,[^\[\](){},]*)([\[\]])"
)
_COMMANDS = re.compile(r"\\([a-zA-Z]+)")
_RENAMED = {
    "nicefrac": "\\frac", "sfrac": "\\frac", "bigcup": "\\cup",
    "dfrac": "\\frac", "tfrac": "\\frac", "cfrac": "\\frac", "leq": "\\le", "geq": "\\ge",
    "neq": "\\ne", "leqslant": "\\le", "geqslant": "\\ge", "lt": "<", "gt": ">",
    "dbinom": "\\binom", "tbinom": "\\binom", "mathrm": "\\text", "textrm": "\\text",
    "textbf": "\\text", "textit": "\\text", "mbox": "\\text", "hbox": "\\text",
    "textnormal": "\\text", "textsf": "\\text", "texttt": "\\text", "mathsf": "\\text",
    "mathbf": "\\text", "bf": "", "rm": "", "boldsymbol": "", "mathit": "", "mathnormal": "",
    "emph": "\\text", "displaystyle": "", "textstyle": "", "limits": "", "nolimits": "",
    "left": "",
    "right": "", "middle": "", "big": "", "Big": "", "bigg": "", "Bigg": "", "bigl": "",
    "bigr": "",
    "Bigl": "", "Bigr": "", "biggl": "", "biggr": "", "quad": " ", "qquad": " ", "thinspace": " ",
    "hspace": " ", "space": " ", "degree": "°", "degrees": "°", "textdegree": "°",
    "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "colon": ":", "lbrace": "\\{",
    "rbrace": "\\}", "dots": "\\ldots", "cdots": "\\ldots", "ast": "*",
    "varnothing": "\\emptyset", "rightarrow": "\\to", "land": " and ", "lor": " or ",
    "percent": "%", "approxeq": "\\approx", "simeq": "\\approx",
    "backslash": "\\setminus", "smallsetminus": "\\setminus", "imath": "i", "jmath": "j",
    "unit": "\\text", "si": "\\text", "num": "",
    "pounds": "\\pound", "textsterling": "\\pound",
    "measuredangle": "\\angle", "ang": "\\angle", "varphi": "\\phi", "infin": "\\infty",
    "operatorname": "\\text", "lbrack": "[", "rbrack": "]", "root": "\\sqrt",
    "notag": "", "nonumber": "", "tag": "\\text", "implies": "\\to", "Rightarrow": "\\to",
    "longrightarrow": "\\to", "square": "", "hfill": " ", "checkmark": "", "surd": "\\sqrt",
    "underline": "", "wideparen": "\\widehat", "overparen": "\\widehat",
    "overarc": "\\widehat", "arc": "\\widehat",
    "bm": "", "pmb": "", "hfil": " ",
}  # fmt: skip
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\\[,;:>]|\\ |~"), " "),
    (re.compile(r"\\prime(?![a-zA-Z])\s*"), "'"),
    (re.compile(r"\\(?:overset|stackrel)\s*\{\s*\\(?:frown|smile)\s*\}"), r"\\widehat "),
    (re.compile(r"\\\||\\[lr]?Vert(?![a-zA-Z])"), "|"),
    (re.compile(r"\\(?:text|mathrm)\s*\{\s*([°o])\s*\}"), r"\1"),
    (re.compile(r",\s*\\!\s*(?=\d{3})"), ""),
    (re.compile(r"\\!|\\(?:text|mathrm)\s*\{[\s.,;:]*\}"), ""),
    (re.compile(r"\\(?:text)?color\s*\{\w{1,20}\}"), ""),
    (re.compile(r"\\([%&#])"), r"\1"),
    (re.compile(r"\*\s*\\(?:degree|circ)(?![a-z])"), "°"),
    (re.compile(r"(?:\{\}\s*)?\^\s*(?:\{\s*(?:\\circ|°)\s*\}|\\circ(?![a-z])|°)|\{\}°"), "°"),
    (re.compile(r"(?<=[\d}\s])\\(?:circ|deg)(?![a-zA-Z])"), "°"),
    (re.compile(r"\x1e\[\s?-?[\d.]{1,8}\s?(?:pt|ex|em|mm|cm)\s?\]"), "\x1e"),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"\\\s?$"), ""),
    (re.compile(r"(?<=\d)\s*\{(\\[dt]?frac\s*\{\d+\}\s*\{\d+\})\}"), r"\1"),
    (re.compile(r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"\1 \\text{\2}"),
    (re.compile(r"(?<!\d)\.(?=\s*\\(?:overline|dot|bar)(?![a-z]))"), "0."),
    (re.compile(r"\\ang\s*\{([^{}]*)\}"), r"\1°"),
    (re.compile(r"\\text\s*\{\s*\\text\s*\{([^{}]*)\}\s*\}"), r"\\text{\1}"),
    (re.compile(r"\^\s*\{?\s*''\s*\}?"), "''"),
    (re.compile(r"\^\s*\{?\s*'\s*\}?"), "'"),
)


def _rename(match: re.Match[str]) -> str:
    return _RENAMED.get(match.group(1), match.group(0))


def _text_outside(text: str) -> str:
    """Signs and words inside text commands that separate values, and `]a, b[` in a union."""
    if ":" in text and "\\text" in text:
        text = _TEXT_COLON.sub(r"\\text{\1}:", text)
    if "and" in text and "\\text" in text:
        text = _TEXT_AND.sub(r" and \\text{", text)
    return _OUTWARD.sub(_open_ends, text) if "[" in text and "\\cup" in text else text


def _open_ends(match: re.Match[str]) -> str:
    before, low, inner, high = match.groups()
    return before + " " + low.replace("]", "(") + inner + high.replace("[", ")")


def _superscript(match: re.Match[str]) -> str:
    return "^{" + "".join(SUPERSCRIPTS[sign] for sign in match.group(0)) + "}"


def _subscript(match: re.Match[str]) -> str:
    return "_{" + "".join(SUBSCRIPTS[sign] for sign in match.group(0)) + "}"


def _part_of(match: re.Match[str]) -> str:
    below, above = (NUMERALS.get(part, part) for part in match.groups())
    return f"\\frac{{{above}}}{{{below}}}"


def _from_unicode(text: str) -> str:
    text = _INVISIBLE.sub("", text.replace("\u00a0", " "))
    if "\u0305" in text or "\u0307" in text:
        text = _BARRED.sub(lambda match: f"\\overline{{{match.group()[::2]}}}", text)
    if _CHINESE.search(text):
        text = _FIRST_OPTION.sub(r"\1. ", text)
        text = _PARTS_OF.sub(_part_of, text)
        for name, word in CHINESE_WORDS:
            text = text.replace(name, word)
        text = _STATED.sub(" = ", _COUNTER.sub("", text))
        text = text.removesuffix("选项")
        text = NUMERALS.get(text.strip(" 。."), text)
    text = _SUPER.sub(_superscript, text)
    text = _SUB.sub(_subscript, text)
    # Vulgar fractions stay whole (1½ is a mixed number) and signs go before NFKC takes them apart.
    text = text.translate(_TABLE)
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_TABLE)


def _money(text: str) -> str:
    r"""Dollar signs that mean money become `\usd`; those that open mathematics go."""
    text = text.replace("\\$", "\\usd ")
    if text.count("$") == 1 and re.match(r"\s*-?\s*\$\s*-?[\d.]", text):
        return text.replace("$", "\\usd ")
    return text.replace("$", " ")


def _in_words(text: str) -> str:
    """Letters and words that stand for signs: `3 to 4`, `6 x 10^23`, `40^o`, `2 million`."""
    if "to" in text:
        text = _TO.sub(":", text)
    if "^" in text:
        text = _LETTER_DEGREE.sub("°", _LETTER_TIMES.sub(r" \\times ", text))
    if "illion" in text:
        text = _LARGE.sub(_power_of_ten, text)
    if "Omega" in text:
        text = _OHMS.sub(lambda match: _OHM_UNITS[match.group(1) or match.group(2) or ""], text)
    if "°" in text or "egree" in text:
        text = _DEGREES_OF.sub(r" \1", text)
    return re.sub(r"(?<=\d)\"", "''", text) if '"' in text else text


def _power_of_ten(match: re.Match[str]) -> str:
    return " \\times 10^{6} " if "million" in match.group(0) else " \\times 10^{9} "


def normalize(text: str) -> str:
    """Canonical spelling of an answer: ASCII where possible, few commands, single spaces."""
    return _cached(text) if len(text) <= CACHED_CHARS else _normalize(text)


def _one_space(match: re.Match[str]) -> str:
    return "\n" if "\n" in match.group(0) else " "


def _normalize(text: str) -> str:
    # Here and at the end: patterns may look through a run of spaces from each of its characters.
    text = _LONG_RUN.sub(_one_space, text)
    if "~" in text:
        text = _SIMILAR.sub(r" \\sim ", text)
    if not text.isascii():
        text = _from_unicode(text)
    if "$" in text:
        text = _money(text)
    if "{,}" in text:
        text = re.sub(r"\{,\}(?=\d{3})", "", text)
    if "\\" in text:
        # A form feed or a tab is what is left of "\f" and "\t" after a bad JSON escape.
        text = text.replace("\\\\", "\x1e")
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        text = _text_outside(_COMMANDS.sub(_rename, text).replace("\x1e", "\\\\"))
    elif "^" in text:
        text = text.replace("^°", "°").replace("^{°}", "°")
    text = _in_words(text)
    if "°" in text:
        text = _TEMPERATURE.sub(
            lambda match: " celsius" if match.group(1) == "C" else " fahrenheit", text
        )
    text = (
        text.replace("\x0crac", "\\frac")
        .replace("\times", "\\times")
        .replace("\x08inom", "\\binom")
    )
    return _RUN.sub(_one_space, text).strip() if "\n" in text else " ".join(text.split())


_cached = lru_cache(maxsize=8192)(_normalize)


def fold_words(text: str) -> str:
    """Words for comparing text answers: case, punctuation, articles and spacing do not count."""
    text = re.sub(r"\\text|[\\{}]", " ", text)
    text = re.sub(r"[^\w+\-/.%°'<>=&|*^()\[\],:]+", " ", text.casefold())
    text = re.sub(r"(?<!\d)\.|\.(?!\d)|[,:()\[\]'](?=\s|$)|(?<!\S)['(\[]", " ", text)
    words = text.split()
    return " ".join(word for word in words if word not in ("the", "a", "an")) or " ".join(words)

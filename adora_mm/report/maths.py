"""Formulas in model texts as MathML, which browsers draw without any script.

Texts come from models and data files, so nothing that the converter makes reaches the page as it
is: its tree is written again with the elements and attributes that are known to be harmless (it
would pass on links and styles), and every piece of text is escaped. A formula that cannot be read
is shown as its source.
"""

from __future__ import annotations

import html
import re
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from markupsafe import Markup, escape

MAX_FORMULA_CHARS = 400
MAX_FORMULAS = 60
"""In one text; the others are shown as their source."""
_BRACED = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_FORMULA = re.compile(
    r"\$\$(?P<block>[^$]+)\$\$"
    r"|\$(?=\S)(?P<inline>[^$\n]+)(?<=\S)\$(?!\d)"  # not the money in "$5 and $6"
    r"|\\\((?P<round>(?:[^\\]|\\[^()])+)\\\)"
    r"|\\\[(?P<square>(?:[^\\]|\\[^\[\]])+)\\\]"
    rf"|(?P<boxed>\\(?:boxed|d?frac|sqrt){_BRACED}(?:{_BRACED})?)"
)
# fmt: off
_TAGS = frozenset({
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msup", "msub",
    "msubsup", "mover", "munder", "munderover", "mtable", "mtr", "mtd", "mstyle", "menclose",
    "mpadded", "mphantom",
})
_ATTRIBUTES = frozenset({
    "display", "displaystyle", "scriptlevel", "stretchy", "fence", "form", "accent", "notation",
    "mathvariant", "columnalign", "linethickness", "width", "linebreak",
})
# fmt: on
_VALUE = re.compile(r"[A-Za-z0-9. -]{1,40}")


def with_formulas(text: str) -> Markup:
    """`text` as HTML: escaped, its formulas drawn, line breaks as they are."""
    parts: list[Markup] = []
    end = 0
    for found in list(_FORMULA.finditer(text))[:MAX_FORMULAS]:
        parts.append(escape(text[end : found.start()]))
        source = found[found.lastgroup or 0]
        parts.append(_formula(source, whole=found[0], block=found.lastgroup in ("block", "square")))
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def _formula(source: str, *, whole: str, block: bool) -> Markup:
    if len(source) > MAX_FORMULA_CHARS:
        return escape(whole)
    try:
        element = convert_to_element(source.strip(), display="block" if block else "inline")
    except Exception:  # whatever the converter trips over in a text of anybody, show its source
        return escape(whole)
    return Markup('<math alttext="{}"{}').format(source, _opening(element)) + _inside(element)


def _opening(element: Element) -> Markup:
    """The harmless attributes of an element, and the end of its opening tag."""
    kept = [
        f' {name}="{value}"'
        for name, value in element.attrib.items()
        if name in _ATTRIBUTES and _VALUE.fullmatch(value)
    ]
    return Markup("".join(kept) + ">")


def _inside(element: Element) -> Markup:
    """Text, children and closing tag of an element."""
    parts = [escape(html.unescape(element.text or ""))]  # the converter writes signs as entities
    for child in element:
        tag = child.tag if child.tag in _TAGS else "mrow"
        parts.append(Markup("<" + tag) + _opening(child) + _inside(child))
        parts.append(escape(html.unescape(child.tail or "")))
    tag = element.tag if element.tag in _TAGS else "mrow"
    return Markup("").join([*parts, Markup(f"</{tag}>")])

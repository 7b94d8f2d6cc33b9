"""A generator of hostile answers: what a policy, a bug or an attacker may put in an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

CANARY = "adora_checker_canary"
_INJECTIONS = (
    f"__import__('os').system('touch /tmp/{CANARY}')",
    f"open('/tmp/{CANARY}','w').write('x')",
    f"exec(\"open('/tmp/{CANARY}','w')\")",
    f"eval(compile(\"open('/tmp/{CANARY}','w')\",'x','exec'))",
    f"[c for c in ().__class__.__base__.__subclasses__()][0]('/tmp/{CANARY}')", "lambda: (yield)",
    "(lambda f: f(f))(lambda f: f(f))", "{{7*7}}", "${7*7}", "`id`", "$(id)", "'; DROP TABLE x; --",
    f"\\input{{/tmp/{CANARY}}}",
    f"\\write18{{touch /tmp/{CANARY}}}", "\\def\\x{\\x\\x}\\x", "import sympy; sympy.sympify('1')",
    "().__class__.__mro__[1].__subclasses__()", "\\immediate\\openout", "Symbol('x')",
    "x if x else y", "print(1)", "%s%s%s%n",
)  # fmt: skip
_PIECES = (
    "\\frac", "{", "}", "(", ")", "[", "]", "\\{", "\\}", "^", "_", "!", "|", "+", "-", "*", "/",
    "=", "<", ">", ",", ";", ":", "\\sqrt", "\\sqrt[3]", "\\pi", "\\infty", "\\pm", "\\le", "\\cup",
    "\\in", "°", "%", "\\text{", "\\text{cm}", "cm", "m", "x", "y", "AB", "sin", "\\cos", "\\log_",
    "\\binom", "\\begin{pmatrix}", "\\end{pmatrix}", "&", "\\\\", "1", "2", "9", "0", "0.", ".5",
    "1e9", "1,000", "10^", " or ", " and ", "\\boxed{", "<answer>", "</answer>", "<think>",
    "</think>", "\\left", "\\right", "\\sum_", "\\int_0^", "$", "\\$", "'", "''", "\\circ",
    "\\lfloor", "\\rfloor", "\\overline{", "...", "(A)", "B.", "\n", "\\,", "\\!", "e", "i", "!!",
    "**",
)  # fmt: skip


def _tower(rng: random.Random) -> str:
    sign = rng.choice(["^", "**", "^{"])
    height = rng.randint(2, 60)
    base = rng.choice(["9", "10", "x", "2.5", "\\pi", "e", "(1+x)", "99999999"])
    return sign.join([base] * height) + "}" * (height - 1) * (sign == "^{")


def _factorials(rng: random.Random) -> str:
    return rng.choice(["9", "1000", "99999", "x", "(3!)"]) + "!" * rng.choice(
        [1, 2, 3, 10, 1000, 100_000]
    )


def _digits(rng: random.Random) -> str:
    count = rng.choice([100, 399, 401, 1_499, 10_000, 1_000_000])
    return rng.choice(["", "-", "0.", "1e", "1,"]) + rng.choice(["9", "0", "123"]) * count


def _nesting(rng: random.Random) -> str:
    depth = rng.choice([30, 41, 200, 5_000])
    opening, closing = rng.choice(
        [
            ("(", ")"),
            ("{", "}"),
            ("[", "]"),
            ("\\{", "\\}"),
            ("\\sqrt{", "}"),
            ("\\frac{1}{", "}"),
            ("|", "|"),
            ("-", ""),
            ("sin(", ")"),
            ("\\left(", "\\right)"),
            ("2^{", "}"),
            ("x_{", "}"),
            ("\\text{", "}"),
            ("f(", ")"),
            ("(1,", ")"),
            ("\\boxed{", "}"),
        ]
    )
    return opening * depth + "1" + closing * rng.choice([depth, depth - 1, 0])


def _boxes(rng: random.Random) -> str:
    count = rng.choice([2, 100, 10_000, 100_000])
    return (
        " ".join(f"\\boxed{{{k % 7}}}" for k in range(count))
        if rng.random() < 0.5
        else "\\boxed{" * count
    )


def _tags(rng: random.Random) -> str:
    count = rng.choice([3, 1_000, 50_000])
    return (
        rng.choice(
            [
                "<answer>",
                "<think>",
                "</think>",
                "<answer></answer>",
                "<answer>5</answer>",
                "</answer><answer>",
            ]
        )
        * count
        + "<answer>5"
    )


def _unbalanced(rng: random.Random) -> str:
    return "".join(rng.choice("{}()[]|\\") for _ in range(rng.choice([5, 50, 1_400, 5_000])))


def _blocks(rng: random.Random) -> str:
    start = rng.choice(
        [
            0,
            0x80,
            0x300,
            0x600,
            0x2000,
            0x2070,
            0x2200,
            0xD800,
            0xFE00,
            0xFF00,
            0x1D400,
            0x1F600,
            rng.randrange(0x10FF00),
        ]
    )
    return "".join(chr(start + rng.randrange(256)) for _ in range(rng.randint(1, 120)))


def _soup(rng: random.Random) -> str:
    return "".join(rng.choice(_PIECES) for _ in range(rng.choice([3, 8, 20, 60, 300])))


def _wide(rng: random.Random) -> str:
    pattern = rng.choice(
        [
            "x+",
            "1,",
            "(x+1)*",
            "x or ",
            "\\pm 1 ",
            "1/",
            "a b ",
            "x^2+",
            "1=",
            "\\cup(1,2)",
            "(1+x)^{40}*",
            "5 cm ",
            "sin ",
            "x_1",
            "\\sqrt{x+",
            "(a+b+c+d+e)^",
            "\\begin{pmatrix}1&",
            "1:",
            "- ",
            "3! ",
            "\\frac1",
            "AB=",
            "y<",
        ]
    )
    return pattern * rng.choice([10, 60, 64, 400, 20_000]) + "1"


def _spaces(rng: random.Random) -> str:
    return rng.choice(
        [" ", "\t", "\n", "\u00a0", "*", "#", "_ ", "\\ ", "~", ": ", "\n\n#"]
    ) * rng.choice([10, 1_400, 100_000]) + rng.choice(["", "5", "answer", "answer is"])


def _huge_values(rng: random.Random) -> str:
    return rng.choice(
        [
            "10^{10^{10}}",
            "2^{100000}-2^{99999}",
            "(x+1)^{1000}",
            "(x+y+z)^{40}",
            "\\binom{1000000}{500000}",
            "\\sum_{k=1}^{10^{9}} k",
            "\\int_0^{\\infty} e^{-x^{x^x}} dx",
            "\\sin(10^{1000})",
            "\\log_{1}{5}",
            "1/0",
            "0^0",
            "0^{-1}",
            "\\tan 90°",
            "\\sqrt{-1}^{\\sqrt{-1}}",
            "1000!/999!",
            "(1000!)^{10}",
            "\\frac{1}{1-1}",
            "\\lfloor 10^{400} \\rfloor",
            "|10^{5000}|",
            "(2^{0.5})^{10000000}",
            "e^{e^{e^{e}}}",
            "(1+10^{-300})^{10^{8}}",
            "gcd(10^{300}, 7)",
            "\\sqrt[1000000]{2}",
            "1^{10^{100}}",
            "(-1)^{10^{50}}",
            "\\sqrt{10^{399}+1}",
            "x^{10^{9}}",
            "\\prod_{k=1}^{100000} k",
            "5^{1/3^{1/3}}",
            "\\sqrt{2}^{\\sqrt{2}^{\\sqrt{2}^{99}}}",
            "0.\\overline{" + "1" * 300 + "}",
        ]
    )


def _control(rng: random.Random) -> str:
    return "".join(
        rng.choice("\x00\x01\x08\x0b\x0c\x1b\x7f\r\u2028\u202e5x+=")
        for _ in range(rng.randint(1, 60))
    )


KINDS: dict[str, Callable[[random.Random], str]] = {
    "tower": _tower, "factorials": _factorials, "digits": _digits, "nesting": _nesting,
    "boxes": _boxes, "tags": _tags, "unbalanced": _unbalanced, "blocks": _blocks, "soup": _soup,
    "wide": _wide, "spaces": _spaces, "huge": _huge_values, "control": _control,
    "injection": lambda rng: rng.choice(_INJECTIONS),
}  # fmt: skip
GOLDS = (
    "5", "\\frac{1}{2}", "12\\sqrt{3}", "x^2+1", "\\{1,2\\}", "(1,2)", "30°", "5 cm", "C", "y=2x+3",
    "even", "\\begin{pmatrix}1&2\\end{pmatrix}", "78.5", "1:2", "(3,4]",
)  # fmt: skip


def of_kind(kind: str, seed: int, count: int) -> Iterator[tuple[str, str]]:
    """(answer, gold) pairs of one kind, the same for the same seed."""
    rng = random.Random(f"{kind} {seed}")
    for _ in range(count):
        yield KINDS[kind](rng), rng.choice(GOLDS)


def hostile(seed: int, count: int) -> Iterator[tuple[str, str, str]]:
    """(kind, answer, gold) triples, the same for the same seed; kinds take turns."""
    rng = random.Random(seed)
    names = list(KINDS)
    for index in range(count):
        kind = names[index % len(names)]
        text = KINDS[kind](rng)
        if rng.random() < 0.15:
            other = KINDS[rng.choice(names)](rng)
            text = (text + rng.choice([" ", "=", "+", ","]) + other)[:2_000_000]
        yield kind, text, rng.choice(GOLDS)

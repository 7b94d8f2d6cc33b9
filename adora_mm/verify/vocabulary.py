"""The words of the grammar: functions, Greek letters, constants. A new function is one row here,
one in `numeric` and one in `symbolic`."""

from __future__ import annotations

from adora_mm.verify.syntax import EULER, IMAGINARY, INFINITY, PI, Node

FUNCTIONS = {
    name: name
    for name in [
        "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "ln", "log",
        "exp", "lg", "arcsin", "arccos", "arctan", "arccot", "max", "min", "gcd", "lcm",
    ]
} | {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "tg": "tan", "ctg": "cot",
    "arctg": "arctan",
}  # fmt: skip
INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot"}
GREEK = frozenset(
    [
        "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta",
        "vartheta", "iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon",
        "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Sigma", "Upsilon",
        "Phi", "Psi", "Omega", "ell", "mho",
    ]
)  # fmt: skip
CONSTANTS = {"pi": PI, "infty": INFINITY, "emptyset": Node("set")}
WORD_CONSTANTS = {"pi": PI, "inf": INFINITY, "infinity": INFINITY, "oo": INFINITY, "Pi": PI}
PRODUCT_SIGNS = frozenset({"times", "cdot"})
VOWELS = frozenset("aeiouy")
LETTER_CONSTANTS = {"e": EULER, "i": IMAGINARY}
WORD_OPERATORS = {"sqrt": "sqrt", "cbrt": "cbrt", "abs": "abs", "floor": "floor", "ceil": "ceil"}

"""A bounded recursive-descent parser: tokens of LaTeX or plain maths to a syntax tree.

Grammar (implicit products bind like explicit ones, from left to right: 1/2x is (1/2)*x):

    sum     = ["+"|"-"] product (("+"|"-"|pm) product)*
    product = factor (("*"|"/"|times|div|nothing) factor)*
    factor  = sign factor | base postfix*
    postfix = "^" exponent | "_" index | "!" | degree marks | "%" | "(" arguments ")" of a call
    base    = number | letter | constant | command | bracket | bars

The parser stops at the first token that cannot continue an expression; the caller (`items`)
decides whether what is left is a unit or an error. No Python evaluation anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from adora_mm.verify import brackets, functions, units
from adora_mm.verify.limits import MAX_DEPTH, MAX_NODES, AnswerError, LimitError
from adora_mm.verify.numerals import literal, mixed_part, repeating
from adora_mm.verify.syntax import CONTAINERS, Node, number, symbol
from adora_mm.verify.tokens import END, Token
from adora_mm.verify.vectors import negated
from adora_mm.verify.vocabulary import (
    CONSTANTS,
    FUNCTIONS,
    GREEK,
    LETTER_CONSTANTS,
    PRODUCT_SIGNS,
    VOWELS,
    WORD_CONSTANTS,
    WORD_OPERATORS,
)


class Parser:
    """One pass over the tokens of one member of an answer."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.index = 0
        self.depth = 0
        self.nodes = 0
        self.bars = 0

    # -- the token stream ---------------------------------------------------------------------
    @property
    def token(self) -> Token:
        return self.tokens[self.index] if self.index < len(self.tokens) else END

    def peek(self, offset: int = 1) -> Token:
        at = self.index + offset
        return self.tokens[at] if at < len(self.tokens) else END

    def advance(self) -> Token:
        token = self.token
        self.index += 1
        return token

    def at_op(self, *signs: str) -> bool:
        token = self.token
        return token.kind == "op" and token.text in signs

    def at_cmd(self, *names: str) -> bool:
        token = self.token
        return token.kind == "cmd" and token.text in names

    def expect(self, sign: str) -> None:
        if not self.at_op(sign):
            raise AnswerError(f"expected {sign!r} before {self.token.text or 'the end'!r}")
        self.index += 1

    def enter(self) -> None:
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH:
            raise LimitError(f"the answer is nested more than {MAX_DEPTH} deep")
        if self.nodes > MAX_NODES:
            raise LimitError(f"the answer has more than {MAX_NODES} parts")

    # -- sums and products --------------------------------------------------------------------
    def expression(self) -> Node:
        """A sum; the entry point for whole members, arguments and bracketed parts."""
        self.enter()
        terms = [self.product()]
        while True:
            if self.at_op("+", "-"):
                negative = self.advance().text == "-"
                term = self.product()
                terms.append(Node("neg", (term,)) if negative else term)
            elif self.at_cmd("pm", "mp"):
                sign = self.advance().text
                left = terms[0] if len(terms) == 1 else Node("add", tuple(terms))
                terms = [Node("pm", (left, self.product()), sign)]
            else:
                break
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def product(self) -> Node:
        if self.at_op("-", "+"):
            negative = self.advance().text == "-"
            self.enter()
            inner = self.product()
            self.depth -= 1
            return negated(inner) if negative else inner
        if self.at_cmd("pm", "mp"):
            sign = self.advance().text
            self.enter()
            inner = self.product()
            self.depth -= 1
            return Node("pm", (number(0), inner), sign)
        left = self.factor()
        while True:
            if self.at_op("*") or self.at_cmd(*PRODUCT_SIGNS):
                self.advance()
                left = functions.multiply(left, self.signed_factor())
            elif self.at_op("/") or self.at_cmd("div"):
                if self.index and self.unit_follows(1):
                    return left
                self.advance()
                left = Node("div", (left, self.signed_factor()))
            elif self.starts_factor():
                fraction = mixed_part(left, self)
                left = fraction if fraction is not None else functions.multiply(left, self.factor())
            else:
                return left

    def signed_factor(self) -> Node:
        if self.at_op("-", "+"):
            self.enter()
            negative = self.advance().text == "-"
            inner = self.signed_factor()
            self.depth -= 1
            return Node("neg", (inner,)) if negative else inner
        return self.factor()

    def unit_follows(self, offset: int = 0) -> bool:
        """Whether the token ahead is a word that can only be a unit: the value ends here."""
        token = self.peek(offset)
        if token.kind == "text":
            return (token.text == "min" or token.text not in FUNCTIONS) and (
                len(token.text) != 1 or units.is_ambiguous(token.text)
            )
        return token.kind == "word" and (units.is_unit_word(token.text) or self.is_noun(token))

    def at_mixed(self) -> bool:
        """`1 4/5`: after a number, a space and a fraction of two integers."""
        return self.token.spaced and self.peek().text == "/" and self.peek(2).kind == "num"

    def is_noun(self, token: Token) -> bool:
        """`5 eggs`: a pronounceable word set off by a space counts things; `3abc` is a product."""
        text = token.text
        known = (
            text in FUNCTIONS or text in GREEK or text in WORD_CONSTANTS or text in WORD_OPERATORS
        )
        return (
            token.spaced
            and len(text) >= 3
            and not known
            and text[1:].islower()
            and not VOWELS.isdisjoint(text)
        )

    def starts_factor(self) -> bool:
        kind, text, spaced = self.token
        if kind == "num":
            return self.index == 0 or self.tokens[self.index - 1].kind != "num" or self.at_mixed()
        if kind == "word":
            return not self.unit_follows()
        if kind == "text":
            return not self.unit_follows()
        if kind == "cmd":
            return (
                text in brackets.STARTERS or text in CONSTANTS or text in FUNCTIONS or text in GREEK
            )
        if kind == "op" and text == "|":
            return self.bars == 0 and not spaced
        if text in ("{", "(") and self.unit_follows(1):
            return False
        return kind == "op" and text in ("(", "[", "{")

    # -- factors ------------------------------------------------------------------------------
    def factor(self) -> Node:
        self.enter()
        node = self.postfix(self.base())
        self.depth -= 1
        return node

    def postfix(self, node: Node) -> Node:
        while self.token.kind == "op":
            sign = self.token.text
            if sign == "^":
                self.advance()
                power = self.exponent()
                turned = power == symbol("T") and node.op in CONTAINERS
                node = brackets.transposed(node) if turned else Node("pow", (node, power))
            elif sign == "!":
                self.advance()
                node = Node("fact", (node,))
            elif sign == "°":
                node = self.degrees(node)
            elif sign == "%":
                self.advance()
                node = Node("percent", (node,))
            elif sign == "_":
                self.advance()
                node = brackets.subscript(self, node)
            elif sign == "(" and node.op == "sym" and self.is_call(node):
                node = Node("call", brackets.arguments(self), node.value)
            elif sign == "'" and node.op == "sym":
                self.advance()
                node = symbol(f"{node.value}'")
            else:
                break
        return node

    def is_call(self, node: Node) -> bool:
        """`f(x)`: a function letter directly before a bracket that holds one argument."""
        return str(node.value) in ("f", "g", "h", "F", "G") and not self.token.spaced

    def degrees(self, node: Node) -> Node:
        """Degrees with optional minutes and seconds, as one number of degrees."""
        self.advance()
        total = node
        for scale, marks in ((60, 1), (3600, 2)):
            at = self.index
            if self.token.kind != "num":
                break
            part = literal(self.advance().text)
            found = 0
            while self.at_op("'") and found < 2:
                self.advance()
                found += 1
            if found != marks:
                self.index = at
                break
            total = Node("add", (total, Node("div", (part, number(scale)))))
        return Node("deg", (total,))

    def exponent(self) -> Node:
        if self.at_op("-", "+"):
            negative = self.advance().text == "-"
            inner = self.exponent()
            return Node("neg", (inner,)) if negative else inner
        self.enter()
        node = self.script()
        if self.at_op("^"):
            self.advance()
            node = Node("pow", (node, self.exponent()))
        self.depth -= 1
        return node

    def script(self) -> Node:
        """The argument of `^` or `_`: a braced expression or one base without postfix."""
        if self.at_op("{"):
            self.advance()
            node = self.expression()
            self.expect("}")
            return node
        self.enter()
        node = self.base()
        self.depth -= 1
        return node

    # -- bases --------------------------------------------------------------------------------
    def base(self) -> Node:
        kind, text, _ = self.token
        if kind == "num":
            self.advance()
            return repeating(text, self)
        if kind == "word":
            return self.word()
        if kind == "text":
            self.advance()
            if len(text) == 1 and text.isalpha():
                return LETTER_CONSTANTS.get(text) or symbol(text)
            if text in FUNCTIONS or text in WORD_OPERATORS:
                return functions.named(self, text)
            raise AnswerError(f"words in the middle of a formula: {text[:40]!r}")
        if kind == "cmd":
            return self.command()
        if kind == "op" and text in "([{|":
            return brackets.bracket(self)
        if kind == "brace" or text == "\\{":
            return brackets.bracket(self)
        raise AnswerError(f"unexpected {text or 'end of the answer'!r}")

    def word(self) -> Node:
        text = self.token.text
        if text in FUNCTIONS or text in WORD_OPERATORS or text in WORD_CONSTANTS or text in GREEK:
            self.advance()
            if text in WORD_CONSTANTS:
                return WORD_CONSTANTS[text]
            return symbol(text) if text in GREEK else functions.named(self, text)
        for name in ("sqrt", "sin", "cos", "tan", "log", "ln", "pi"):
            at = text.find(name)
            if at == 0 or (at > 0 and len(text) <= len(name) + 3):
                return self.split_word(at or len(name))
        if len(text) > 4:
            raise AnswerError(f"a word where a formula was expected: {text[:40]!r}")
        return self.split_word(1) if len(text) > 1 else self.letter()

    def split_word(self, at: int) -> Node:
        """Letters without spaces are a product: read the first part, leave the rest as a token."""
        token = self.token
        self.tokens[self.index : self.index + 1] = [
            Token("word", token.text[:at], token.spaced),
            Token("word", token.text[at:], False),
        ]
        return self.word()

    def letter(self) -> Node:
        text = self.advance().text
        return LETTER_CONSTANTS.get(text) or symbol(text)

    def at_function(self) -> bool:
        kind, text, _ = self.token
        return kind in ("cmd", "word", "text") and text in FUNCTIONS

    def command(self) -> Node:
        name = self.advance().text
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in FUNCTIONS:
            return functions.function(self, FUNCTIONS[name])
        if name in GREEK:
            return symbol(name)
        rule: Callable[[Parser, str], Node] | None = brackets.COMMANDS.get(name)
        if rule is None:
            raise AnswerError(f"unknown command \\{name[:40]}")
        return rule(self, name)

"""The decision: a response or an answer against a gold, under a profile.

`decide_*` return a Verdict, or None when the bounded in-process path cannot tell; the public
functions of `adora_mm.verify` then ask a worker. There is no other place that decides what
"correct" means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adora_mm.types import Outcome, Verdict
from adora_mm.verify import choices as options_rules
from adora_mm.verify.answers import Answer, parse_answer
from adora_mm.verify.compare import compare_answers
from adora_mm.verify.extract import find_answer, unwrap
from adora_mm.verify.limits import MAX_ANSWER_CHARS, LimitError, UndecidedError, start_work
from adora_mm.verify.profiles import Profile
from adora_mm.verify.scalars import within_limits
from adora_mm.verify.statements import same_statement
from adora_mm.verify.syntax import walk

Choices = Sequence[str] | None


SHOWN_CHARS = 300
MAX_FINAL_ANSWERS = 4


def verdict(outcome: Outcome, extracted: str | None, reason: str) -> Verdict:
    """A verdict whose text is cut to what a log can hold."""
    return Verdict(
        outcome=outcome,
        extracted=extracted[:SHOWN_CHARS] if extracted else extracted,
        reason=reason,
    )


def decide_response(response: str, gold: str, choices: Choices, profile: Profile) -> Verdict | None:
    """Extract the final answer of a response and decide it."""
    found = find_answer(
        response,
        strict=profile.strict_extraction,
        choices=bool(choices) or options_rules.is_letter_gold(gold),
    )
    if not found.answers:
        return verdict("unparsed", None, found.rule)
    first = found.answers[0]
    if len(found.answers) > 1 and not _all_equal(found.answers, choices, profile):
        reason = f"{found.rule}: {len(found.answers)} different final answers"
        return verdict("incorrect", found.answers[-1], reason)
    decided = None
    for answer in found.answers:  # equal ones may still differ in a unit or a label
        decided = decide_answer(answer, gold, choices, profile)
        if decided is None or not decided.correct:
            first = answer
            break
    if decided is None:
        return None
    return verdict(decided.outcome, first, f"{found.rule}: {decided.reason}")


def _all_equal(answers: tuple[str, ...], choices: Choices, profile: Profile) -> bool:
    if len(answers) > MAX_FINAL_ANSWERS:
        return False
    for other in answers[1:]:
        decided = decide_answer(other, answers[0], choices, profile)
        if decided is None or not decided.correct:
            return False
    return True


def decide_answer(prediction: str, gold: str, choices: Choices, profile: Profile) -> Verdict | None:
    """Decide one answer; None asks for a worker."""
    prediction = prediction.strip()
    start_work()
    if len(prediction) > MAX_ANSWER_CHARS:
        return verdict(
            "unparsed", prediction, f"the answer is longer than {MAX_ANSWER_CHARS} characters"
        )
    prediction = unwrap(prediction)
    if not prediction:
        return verdict("unparsed", prediction, "the answer is empty")
    try:
        if choices:
            return _choose(prediction, gold, tuple(choices), profile)
        return _decide(prediction, gold, profile)
    except UndecidedError:
        return None
    except LimitError as error:
        # A readable gold means that the prediction is what is too large; otherwise sympy may know.
        return verdict("unparsed", prediction, str(error)) if _gold_in_limits(gold) else None
    except RecursionError:
        return verdict("unparsed", prediction, "the answer is nested too deeply")


def _decide(prediction: str, gold: str, profile: Profile) -> Verdict:
    if options_rules.is_letter_gold(gold):
        letter = _letter(prediction, gold, profile)
        if letter is not None:
            return letter
    target, answer = parse_answer(gold), parse_answer(prediction)
    same_text = bool(target.text) and target.text == answer.text
    if same_text:
        return verdict("correct", prediction, "the same text as the gold")
    if target.statement and answer.statement:
        agree = same_statement(target.statement, answer.statement)
        if agree is not None:
            reason = "the same statement" if agree else "a different statement"
            return verdict("correct" if agree else "incorrect", prediction, reason)
    if answer.error:
        inner = _without_choice(prediction, target, profile)
        return inner or verdict("unparsed", prediction, answer.error)
    if target.error:
        if _squeeze(target.text) == _squeeze(answer.text):
            return verdict("correct", prediction, "the same text apart from spaces")
        return verdict("incorrect", prediction, "the gold is not readable and the texts differ")
    if not profile.evaluate_unevaluated and _unevaluated(answer) and not _unevaluated(target):
        return verdict("incorrect", prediction, "an unevaluated sum, product or integral")
    if (
        answer.alternatives
        and not target.alternatives
        and len(target.items) == 1
        and not _is_set(target)
    ):
        return verdict("incorrect", prediction, "several alternatives instead of one answer")
    same, reason = compare_answers(target, answer, profile)
    if not same and (inner := _without_choice(prediction, target, profile)) is not None:
        return inner
    return verdict("correct" if same else "incorrect", prediction, reason)


def _squeeze(text: str) -> str:
    return "".join(text.replace("\\text", "").split()).strip(".{}").casefold()


def _gold_in_limits(gold: str) -> bool:
    return all(within_limits(node) for item in parse_answer(gold).items for node in item.chain)


def _unevaluated(answer: Answer) -> bool:
    """Whether a member's value is left as a sum or integral; one with its value stated is not."""
    return any(
        n.op == "big" for item in answer.items for node in item.chain[-1:] for n in walk(node)
    )


def _is_set(answer: Answer) -> bool:
    chain = answer.items[0].chain
    return bool(chain) and chain[-1].op in ("set", "interval", "union")


def _letter(prediction: str, gold: str, profile: Profile) -> Verdict | None:
    """A gold that is only a letter, without the options: the letter in any dress."""
    if options_rules.several_letters(prediction):
        return verdict("incorrect", prediction, "several choice letters")
    expected, _ = options_rules.split_letter(gold)
    letter, _ = options_rules.split_letter(prediction)
    if letter is None:
        return None
    dressed = len(prediction.strip(" .*_$")) > 1
    if letter.islower() and not (profile.letter_case or dressed):
        return None
    assert expected is not None
    same = letter.upper() == expected
    return verdict(
        "correct" if same else "incorrect",
        prediction,
        "the choice letter" if same else "another choice letter",
    )


def _without_choice(prediction: str, target: Answer, profile: Profile) -> Verdict | None:
    r"""`\textbf{(C)} 12` for a gold of 12: the value behind the letter."""
    letter, rest = options_rules.split_letter(prediction)
    if letter is None or not letter.isupper() or not rest:
        return None
    answer = parse_answer(rest)
    if answer.error or not answer.items or not compare_answers(target, answer, profile)[0]:
        return None
    return verdict("correct", prediction, "the value behind a choice letter")


def _choose(prediction: str, gold: str, options: tuple[str, ...], profile: Profile) -> Verdict:
    """With options: the chosen option must be the gold's, by letter, by value or by text."""
    # Options tell values apart, so two significant digits are enough to name one of them.
    exactly = replace(profile, min_decimals=1000, min_significant=1000, round_decimal_gold=False)
    profile = replace(
        profile,
        min_significant=min(profile.min_significant, 2),
        min_decimals=min(profile.min_decimals, 1),
    )
    index = options_rules.gold_index(gold, options)
    if index is None:
        index = _value_index(gold, options, profile)
    if index is None:
        return _decide(prediction, gold, profile)
    if options_rules.several_letters(prediction):
        return verdict("incorrect", prediction, "several choice letters")
    by_letter = _chosen_letter(prediction, options, index, profile)
    if by_letter is not None:
        return by_letter
    decided = _decide_option(prediction, index, options, profile)
    if not decided.correct:
        return decided
    precise = _value_index(prediction, options, exactly)
    if (
        precise not in (None, index)
        and not _decide_option(prediction, index, options, exactly).correct
    ):
        return verdict("incorrect", prediction, "exactly the value of another choice")
    return verdict("correct", prediction, f"the value of choice {options_rules.LETTERS[index]}")


def _chosen_letter(
    prediction: str, options: tuple[str, ...], index: int, profile: Profile
) -> Verdict | None:
    """The verdict on an option's letter; None when the prediction names none."""
    letter, rest = options_rules.split_letter(prediction)
    if letter is None or options_rules.LETTERS.index(letter.upper()) >= len(options):
        return None
    bare_small = letter.islower() and len(prediction.strip(" .*_$")) == 1
    if bare_small and letter in {option.strip() for option in options} and not profile.letter_case:
        return None  # a variable among the options
    expected = options_rules.LETTERS[index]
    if letter.upper() != expected:
        return verdict("incorrect", prediction, f"choice {letter.upper()} instead of {expected}")
    if rest and (other := _value_index(rest, options, profile)) is not None and other != index:
        return verdict("incorrect", prediction, "the letter and the value contradict each other")
    return verdict("correct", prediction, "the choice letter")


def _value_index(value: str, options: tuple[str, ...], profile: Profile) -> int | None:
    """The option whose value equals a value; None when there is none."""
    for index in range(len(options)):
        if _decide_option(value, index, options, profile).correct:
            return index
    return None


def _decide_option(value: str, index: int, options: tuple[str, ...], profile: Profile) -> Verdict:
    """A value against one option; options like `5-2-3-1-4` are orders, compared as texts."""
    option = options_rules.strip_letter(options[index])
    orders = options_rules.orders(options)
    if not orders:
        return _decide(value, option, profile)
    same = options_rules.plain_order(value) == orders[index]
    reason = "the same order" if same else "another order"
    return verdict("correct" if same else "incorrect", value, reason)

"""How long the prompts of a set are for the model of a recipe; this part needs transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adora_mm.config import RunConfig
from adora_mm.data import ImageError
from adora_mm.models import policy_path
from adora_mm.processor import Processor
from adora_mm.prompts import PromptError
from adora_mm.types import Problem
from data_prep.audit.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLength:
    """One prompt's length, or the finding that there is none."""

    tokens: int = 0
    finding: Finding | None = None


def recipe_processor(config: RunConfig, model: str | None) -> Processor:
    """The processor of a recipe's policy, or of `model` under the recipe's settings.

    Raises ValueError, with what to pass, when the model's files are not there.
    """
    name = policy_path(model or config.policy.path)
    try:
        return Processor(
            name,
            system_prompt=config.data.system_prompt,
            min_pixels=config.data.min_pixels,
            max_pixels=config.data.max_pixels,
            max_image_megapixels=config.data.max_image_megapixels,
        )
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"the processor of {name} cannot be loaded ({reason}); pass --model with a folder that "
            "holds its tokenizer, or audit without --recipe"
        ) from error


def prompt_lengths(
    problems: Sequence[Problem], processor: Processor, max_prompt_tokens: int
) -> Iterator[PromptLength]:
    """The length of each prompt, from the headers of its pictures, in the order of the problems.

    Pictures that cannot be opened are another part's finding: their prompts count as 0 tokens.
    """
    for problem in problems:
        try:
            tokens = processor.check_length(problem)
        except PromptError as error:
            yield PromptLength(finding=_too_long(problem, str(error)))
        except ImageError:
            yield PromptLength()
        else:
            over = tokens > max_prompt_tokens
            message = f"{tokens} tokens, the recipe allows {max_prompt_tokens}"
            yield PromptLength(tokens=tokens, finding=_too_long(problem, message) if over else None)


def _too_long(problem: Problem, message: str) -> Finding:
    return Finding(kind="prompt_too_long", problem_id=problem.id, message=message)

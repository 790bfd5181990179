"""Training instances: a prompt, the answer to learn, and what kind of instance it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.text.examples import Examples
from core.text.prompts import Prompt, PromptBuilder


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One row with the answer to learn."""

    prompt: Prompt
    answer: list[int]
    """Recommendation: the one token Yes or No. Reasoning: "Yes. <reason>" and the end of the turn."""
    label: int
    user: int
    reasoning: bool

    @property
    def tokens(self) -> int:
        """Tokens that go through the model: the last token of the answer predicts nothing."""
        return len(self.prompt.ids) + len(self.answer) - 1


def recommendation_instances(
    examples: Examples, builder: PromptBuilder, rows: npt.NDArray[np.int64]
) -> list[Instance]:
    """Make one instance per row whose answer is the label alone."""
    return _instances(examples, builder, rows, None)


def reasoning_instances(
    examples: Examples, builder: PromptBuilder, reasons: Mapping[int, str]
) -> list[Instance]:
    """Make one instance per row with a reason (row number -> reason)."""
    rows = np.array(sorted(reasons), dtype=np.int64)
    return _instances(examples, builder, rows, [reasons[int(row)] for row in rows])


def _instances(
    examples: Examples,
    builder: PromptBuilder,
    rows: npt.NDArray[np.int64],
    reasons: Sequence[str] | None,
) -> list[Instance]:
    dataset = examples.dataset
    made = []
    for n, example in enumerate(examples.of_rows(rows, builder.config.history_length)):
        label = int(dataset.label[rows[n]])
        made.append(
            Instance(
                prompt=builder.build(example),
                answer=builder.answer(label, reasons[n] if reasons else None),
                label=label,
                user=int(dataset.user[rows[n]]),
                reasoning=reasons is not None,
            )
        )
    return made

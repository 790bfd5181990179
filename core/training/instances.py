"""Training instances: a prompt with the answer to learn, as a recommendation or with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.text.examples import Examples
from core.text.prompts import PromptBuilder, Slot


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One row with the answer to learn."""

    ids: npt.NDArray[np.int32]
    """Prompt and answer but for its last token, which predicts nothing: what goes through the model."""
    slots: tuple[Slot, ...]
    answer: list[int]
    """Recommendation: the one token Yes or No. Reasoning: "Yes. <reason>" and the end of the turn."""
    label: int
    user: int
    reasoning: bool
    offset: float = 0.0
    """See Prompt."""

    @property
    def tokens(self) -> int:
        """Tokens that go through the model."""
        return len(self.ids)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt alone, the same for a row with and without a reason."""
        return len(self.ids) - len(self.answer) + 1


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
        prompt = builder.build(example)
        answer = builder.answer(label, reasons[n] if reasons else None)
        made.append(
            Instance(
                ids=np.array(prompt.ids + answer[:-1], dtype=np.int32),
                slots=prompt.slots,
                answer=answer,
                label=label,
                user=int(dataset.user[rows[n]]),
                reasoning=reasons is not None,
                offset=prompt.offset,
            )
        )
    return made

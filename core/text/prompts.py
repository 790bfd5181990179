"""Prompts as token ids: the history first, so that all candidates of a user share it.

    <chat head>This person rated these items, oldest first:
    - Heat: Yes (crime, thriller)
    - Jumanji: No (children, fantasy)
    [This person enjoyed 40% of 30 items and 6 of the last 10; ...]              evidence about the user
    ------------------------------------------------------------------ end of the shared prefix
    Question: would this person enjoy Casino (crime, drama)?
    [80% of 100 other people enjoyed it. This person enjoyed 3 of 4 crime.]      evidence about the item
    [By counts alone a Yes is likely (72%).]                               the bias encoder, where one is given
    Answer Yes or No and say why.<chat tail>

Every piece is encoded by itself and pieces are joined as ids: words of others can neither become control tokens nor
change how the pieces around them are read, and places for embeddings are positions, never found by search.
Source: the paper's prompt (appendix B.3), re-worded and shortened; evidence: method, section 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.config.prompt import PromptConfig
from core.data.dataset import Dataset
from core.text.answers import NO, YES, AnswerTokens, answer_tokens
from core.text.evidence import item_parts, prior_sentence, user_parts
from core.text.examples import Example
from core.text.frame import Frame, frame_of
from core.text.plain import LONGEST_TITLE, PlainEncoder, inner_encoder
from core.text.sentences import SentenceEncoder

SlotKind = Literal["user", "item", "soft"]


@dataclass(frozen=True)
class Slot:
    """A position of the prompt whose input embedding is a projected vector (equation 3), or a trained one."""

    position: int
    kind: SlotKind
    index: int
    """Position of the user or item in the data set, or in the soft prompt."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Token ids up to the place where the answer begins."""

    ids: list[int]
    prefix: int
    """The first `prefix` ids say nothing about the item asked for."""
    slots: tuple[Slot, ...] = ()
    offset: float = 0.0
    """What is added to the logit of Yes."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Who has a trained vector. The others' say nothing, and the projector has never seen them: they get no slot."""

    users: npt.NDArray[np.bool_]
    """(U,) users with train rows."""
    items: npt.NDArray[np.bool_]
    """(I,) items with train rows."""


class PromptBuilder:
    """Puts examples into words, and words into ids."""

    def __init__(
        self,
        tokenizer: Any,
        dataset: Dataset,
        config: PromptConfig,
        *,
        keywords: Sequence[Sequence[str]] | None = None,
        collaborative: Trained | None = None,
        frame: Frame | None = None,
    ) -> None:
        """Prepare the pieces.

        Args:
            tokenizer: a fast tokenizer of transformers.
            dataset: whose titles are shown.
            config: style and lengths.
            keywords: keywords of every item, in the order of the data set's items.
            collaborative: whose projected vectors get placeholders; None for prompts without any.
            frame: what training had around its questions; that of the tokenizer if None.
        Raises: AnswerTokenError if the tokenizer cannot tell the answers apart by one token.
        """
        self.config = config
        self.tokenizer = tokenizer
        self._dataset = dataset
        self._keywords = keywords
        self._collaborative = collaborative
        self._plain = PlainEncoder(tokenizer)
        self._trusted = inner_encoder(tokenizer)
        self.frame = frame or frame_of(tokenizer)
        self.answers: AnswerTokens = answer_tokens(tokenizer, self.frame.tail, self.frame.lead)
        # Any ordinary id serves as placeholder: its embedding is replaced by position.
        self._placeholder = self.answers.no
        self._head, self._soft = self._begin("This person rated these items, oldest first:")
        self._tail = self._trusted("\nAnswer Yes or No and say why." + self.frame.tail)
        self._nothing = self._trusted("\n(nothing yet)")
        self._question = self._trusted("\nQuestion: would this person enjoy")
        self._line = self._trusted("\n-")
        self._mark = self._trusted("?")
        self._says = {1: self._trusted(f": {YES}"), 0: self._trusted(f": {NO}")}
        self._lines: dict[tuple[int, int], list[int]] = {}
        self._targets: dict[int, list[int]] = {}
        self._sentences = SentenceEncoder(self._plain, self._trusted("\n"))
        self._end = tokenizer.eos_token_id

    def build(self, example: Example) -> Prompt:
        """Return the prompt of an example."""
        ids = list(self._head)
        slots: list[Slot] = list(self._soft)
        vectors = self._collaborative
        if vectors is not None and example.user is not None and vectors.users[example.user]:
            ids += self._line
            slots.append(Slot(len(ids), "user", example.user))
            ids.append(self._placeholder)
        shown = list(zip(example.history.tolist(), example.labels.tolist(), strict=True))
        if not self.config.history_dislikes:
            shown = [line for line in shown if line[1]]
        for line in shown:
            ids += self._line
            if vectors is not None and vectors.items[line[0]]:
                slots.append(Slot(len(ids), "item", line[0]))
                ids.append(self._placeholder)
            ids += self._lines.get(line) or self._history_line(*line)
        if not shown:
            ids += self._nothing
        if self.config.style == "evidence":
            ids += self._sentences.encode(user_parts(example.evidence, example.position))
        prefix = len(ids)
        ids += self._question
        if vectors is not None and vectors.items[example.item]:
            slots.append(Slot(len(ids), "item", example.item))
            ids.append(self._placeholder)
        ids += self._target(example.item)
        if self.config.style == "evidence":
            ids += self._sentences.encode(item_parts(example.evidence, example.position))
        if example.prior is not None:
            ids += self._sentences.encode_whole(prior_sentence(example.prior))
        ids += self._tail
        offset = (example.prior_logit or 0.0) if self.config.prior_offset else 0.0
        return Prompt(ids=ids, prefix=prefix, slots=tuple(slots), offset=offset)

    def answer(self, label: int, reason: str | None = None) -> list[int]:
        """Return the ids of the answer: one token, or with a reason "Yes. <reason>" and the end of the turn."""
        first = self.answers.yes if label else self.answers.no
        if reason is None:
            return [first]
        end = [] if self._end is None else [self._end]
        return [first, *self.full_stop, *self._plain.encode(" " + reason), *end]

    @property
    def full_stop(self) -> list[int]:
        """The ids between the answer and its reason."""
        return self._trusted(".")

    @staticmethod
    def answer_word(label: int) -> str:
        """Return Yes or No."""
        return YES if label else NO

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, control tokens included."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def _begin(self, text: str) -> tuple[list[int], tuple[Slot, ...]]:
        """Return the ids before the history, and the slots of the soft prompt, which stands right before the text."""
        count = self.config.soft_tokens
        if not count:
            return [*self.frame.begin, *self._first(self.frame.head + text)], ()
        head = [*self.frame.begin, *self._first(self.frame.head)]
        soft = tuple(Slot(len(head) + n, "soft", n) for n in range(count))
        return [*head, *[self._placeholder] * count, *self._trusted(text)], soft

    def _history_line(self, item: int, label: int) -> list[int]:
        found = [
            *self._title(item),
            *self._says[label],
            *self._item_keywords(item, self.config.keywords_per_item),
        ]
        self._lines[item, label] = found
        return found

    def _target(self, item: int) -> list[int]:
        found = self._targets.get(item)
        if found is None:
            found = (
                self._title(item)
                + self._item_keywords(item, self.config.target_keywords)
                + self._mark
            )
            self._targets[item] = found
        return found

    def _title(self, item: int) -> list[int]:
        title = self._dataset.titles[item][:LONGEST_TITLE]
        return self._plain.encode(" " + title)

    def _item_keywords(self, item: int, count: int) -> list[int]:
        words = self._keywords[item][:count] if self._keywords is not None else ()
        return self._plain.encode(f" ({', '.join(words)})") if len(words) else []

    def _first(self, text: str) -> list[int]:
        """Return the ids of what nothing stands before."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

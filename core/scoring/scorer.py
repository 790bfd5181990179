"""Score prompts by one forward pass per batch of rows of different users (method, section 8)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.fusion.mixture import Gates
from core.llm.decoder import Decoder
from core.llm.device import full_memory_is_told
from core.llm.inject import Injector
from core.llm.ragged import Layout
from core.scoring.batches import Group, group_prompts, pack
from core.scoring.budget import token_budget
from core.text.answers import AnswerTokens
from core.text.prompts import Prompt, Slot


@dataclass
class Work:
    """What scoring has cost so far; tests and benchmarks count it."""

    batches: int = 0
    tokens: int = 0
    """Tokens that went through the linear layers."""
    prompt_tokens: int = 0
    """Tokens of all prompts, as if nothing were shared."""
    logit_rows: int = 0


@dataclass(frozen=True)
class AnswerLogits:
    """(n,) float64 logits of the two answers."""

    yes: npt.NDArray[np.float64]
    no: npt.NDArray[np.float64]

    def score(self, relevance: str) -> npt.NDArray[np.float64]:
        """Return the relevance score s: the logit of Yes, or with "margin" Yes minus No."""
        return self.yes if relevance == "yes" else self.yes - self.no


class Scorer:
    """A language model whose weights are settled: adapters merged, or mixed per row by gates."""

    def __init__(
        self,
        decoder: Decoder,
        answers: AnswerTokens,
        *,
        gates: Gates | None = None,
        offsets: npt.NDArray[np.float64] | None = None,
        injector: Injector | None = None,
        max_tokens: int | None = None,
    ) -> None:
        """Take the parts.

        Args:
            decoder: the model.
            answers: ids of Yes and No.
            gates: of the mixture layers in the model, if it has any.
            offsets: (columns of the gates,) what each adds to the logit of Yes, by its weight; nothing if None.
            injector: for prompts with slots.
            max_tokens: token budget of a batch; found by itself if None.
        """
        self.decoder = decoder
        self.gates = gates
        self._offsets = offsets
        self.work = Work()
        self._answers = torch.tensor([answers.yes, answers.no], device=decoder.device)
        self._injector = injector
        self._max_tokens = max_tokens or token_budget(decoder)

    def require_room(self, prompts: Sequence[Prompt]) -> None:
        """Raises: MismatchError for a prompt longer than the model sees."""
        self.decoder.require_room(len(prompt.ids) for prompt in prompts)

    def score(
        self, prompts: Sequence[Prompt], columns: npt.NDArray[np.float64] | None = None
    ) -> AnswerLogits:
        """Return the logits of Yes and No where the answer of each prompt begins.

        Args:
            prompts: in any order, of any users.
            columns: (n, global + experts) weights of each prompt's row; needed if the model has mixture layers.
        Raises: MismatchError for a prompt longer than the model sees, DeviceMemoryError.
        """
        self.require_room(prompts)
        out = np.empty((len(prompts), 2))
        owners: list[Any] = [None] * len(prompts)
        if columns is not None:
            owners = [row.tobytes() for row in columns]
        groups = group_prompts(prompts, owners, self._max_tokens)
        self.work.prompt_tokens += sum(len(prompt.ids) for prompt in prompts)
        for batch in pack(groups, self._max_tokens):
            with full_memory_is_told(
                "Let no other program use the GPU. score takes --max-tokens, too, trainings a lower --history-length."
            ):
                rows, logits = self._forward(batch, columns)
            out[rows] = logits
        if self._offsets is not None and columns is not None:
            out[:, 0] += columns @ self._offsets
        out[:, 0] += [prompt.offset for prompt in prompts]
        return AnswerLogits(yes=out[:, 0], no=out[:, 1])

    def embed_prompt(self, ids: Sequence[int], slots: Sequence[Slot]) -> Tensor:
        """Return (tokens, width) input embeddings of one sequence, projected vectors put in."""
        hidden = self.decoder.embed(torch.tensor(list(ids), device=self.decoder.device))
        return hidden if self._injector is None else self._injector.inject(hidden, [0], [slots])

    @torch.inference_mode()
    def _forward(
        self, batch: Sequence[Group], columns: npt.NDArray[np.float64] | None
    ) -> tuple[list[int], npt.NDArray[np.float64]]:
        layout = Layout.of([group.trunk for group in batch], device=self.decoder.device)
        hidden = self.decoder.embed(layout.ids)
        if self._injector is not None:
            trunk_slots = [group.slots[0] for group in batch]
            branch_slots = [slots for group in batch for slots in group.slots[1:]]
            hidden = self._injector.inject(
                hidden, layout.starts().tolist(), trunk_slots + branch_slots
            )
        rows_out, where = _answer_positions(batch, layout.ends)
        mixing: AbstractContextManager[None] = nullcontext()
        if self.gates is not None:
            assert columns is not None, "a model with mixture layers needs the weights of its rows"
            rows = torch.from_numpy(columns[[group.rows[0] for group in batch]]).to(hidden)
            mixing = self.gates.use(rows[layout.trunk_of_token])
        with mixing:
            hidden = self.decoder.run(hidden, layout, rows=where)
        logits = self.decoder.logits(hidden, self._answers)
        self.work.batches += 1
        self.work.tokens += layout.tokens
        self.work.logit_rows += len(rows_out)
        return rows_out, logits.double().cpu().numpy()


def _answer_positions(batch: Sequence[Group], ends: Tensor) -> tuple[list[int], Tensor]:
    """Return the prompts of a batch and the flat index of the last token of each."""
    rows: list[int] = []
    where: list[int] = []
    branch = len(batch)
    for trunk, group in enumerate(batch):
        rows += group.rows
        if group.trunk.branches:
            where += range(branch, branch + len(group.rows))
            branch += len(group.rows)
        else:
            where.append(trunk)
    return rows, ends[torch.tensor(where, device=ends.device)]

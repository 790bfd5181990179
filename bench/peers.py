"""The peers: the same scores by transformers and PEFT, as the authors' code and as common practice do it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel

from bench.setting import fresh_base
from core.llm.device import DtypeName
from core.text.answers import AnswerTokens
from core.text.prompts import Prompt


class PerUserAdapters:
    """The authors' procedure: a weighted adapter is added, set and deleted for every user; full-vocabulary logits."""

    def __init__(
        self,
        folders: Sequence[Path],
        answers: AnswerTokens,
        device: torch.device,
        batch_size: int = 4,
    ) -> None:
        base, place = fresh_base(device), str(device)  # PEFT by itself reads to the first GPU
        self._model = PeftModel.from_pretrained(
            base.model, folders[1], adapter_name="e0", torch_device=place
        ).eval()
        for index, folder in enumerate(folders[2:], 1):
            self._model.load_adapter(folder, f"e{index}", torch_device=place)
        self._names = [f"e{index}" for index in range(len(folders) - 1)]
        self._answers, self._batch_size = answers, batch_size

    def score(self, prompts: Sequence[Prompt], columns: Any) -> Any:
        """Return (n,) Yes-minus-No margins; rows of one user must stand together."""
        out = np.empty(len(prompts))
        start = 0
        while start < len(prompts):
            stop = start + 1
            while stop < len(prompts) and np.array_equal(columns[stop], columns[start]):
                stop += 1
            self._model.add_weighted_adapter(
                self._names, columns[start, 1:].tolist(), "user", combination_type="linear"
            )
            self._model.set_adapter("user")
            for at in range(start, stop, self._batch_size):
                part = slice(at, min(at + self._batch_size, stop))
                out[part] = _margins(self._model, prompts[part], self._answers, whole=True)
            self._model.set_adapter(self._names[0])
            self._model.delete_adapter("user")
            start = stop
        return out


class OneAdapter:
    """Common practice: one adapter, batches of 32 sorted by length, logits at the last position only."""

    def __init__(
        self,
        folder: Path,
        answers: AnswerTokens,
        device: torch.device,
        batch_size: int = 32,
        dtype: DtypeName = "auto",
    ) -> None:
        self._model = PeftModel.from_pretrained(
            fresh_base(device, dtype).model, folder, torch_device=str(device)
        ).eval()
        self._answers, self._batch_size = answers, batch_size

    def score(self, prompts: Sequence[Prompt]) -> Any:
        """Return (n,) Yes-minus-No margins."""
        order = sorted(range(len(prompts)), key=lambda n: len(prompts[n].ids))
        out = np.empty(len(prompts))
        for at in range(0, len(order), self._batch_size):
            rows = order[at : at + self._batch_size]
            out[rows] = _margins(
                self._model, [prompts[n] for n in rows], self._answers, whole=False
            )
        return out


def _margins(model: Any, prompts: Sequence[Prompt], answers: AnswerTokens, *, whole: bool) -> Any:
    """Score a left-padded batch, with logits of all positions or of the last one."""
    longest = max(len(p.ids) for p in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt.ids) :] = torch.tensor(prompt.ids)
        mask[row, longest - len(prompt.ids) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.inference_mode():
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            logits_to_keep=0 if whole else 1,
        ).logits[:, -1]
    return (out[:, answers.yes] - out[:, answers.no]).double().cpu().numpy()

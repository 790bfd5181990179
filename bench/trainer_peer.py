"""The peer of training: transformers' Trainer on a PEFT model, with the same instances in the same batches."""

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.process import peer_packages
from bench.setting import clock
from core.llm.projector import Projector
from core.training.instances import Instance

MASKED = -100
"""Label of a position that has no part in the loss."""


def step_seconds(
    model: Any, instances: Sequence[Instance], batches: np.ndarray[Any, Any]
) -> list[float]:
    """Train once through the batches, where the model is; return the seconds of each step.

    Instances are padded to the longest of their batch, as the stock collator does; the loss is the cross entropy of the
    answer tokens. Saving and logging are off.
    """
    peer_packages("trainer", ("accelerate==1.12.0", "psutil==7.1.3"))
    from transformers import Trainer, TrainerCallback, TrainingArguments

    device = next(model.parameters()).device

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Notes when steps begin and end."""

        seconds: list[float] = []  # noqa: RUF012 - one bench, one list

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = clock(device)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(clock(device) - self.started)

    class InOrder(Trainer):  # type: ignore[misc]
        """Takes the instances in the order given."""

        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    watch = Clock()
    watch.seconds = []
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=batches.shape[1],
            num_train_epochs=1,
            learning_rate=1e-4,
            use_cpu=device.type == "cpu",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        if device.type == "cuda":
            # By itself it takes the first GPU, and where there are several a part of each batch to every one.
            settings.__dict__["_setup_devices"], settings._n_gpu = device, 1
            torch.cuda.set_device(device)
        rows = [instances[int(n)] for n in batches.ravel()]
        trainer = InOrder(
            model=model,
            args=settings,
            train_dataset=rows,
            data_collator=_padded,
            callbacks=[watch],
        )
        trainer.train()
    return watch.seconds


class Projected(nn.Module):
    """A frozen model with a trained projector before it, as one would write it for the Trainer."""

    def __init__(self, model: Any, projector: Projector, vectors: tuple[Any, Any]) -> None:
        """Take (U, d1) user and (I, d1) item vectors; all goes where the model is."""
        super().__init__()
        device = next(model.parameters()).device
        self.model, self.projector = model, projector.to(device)
        users, items = (torch.from_numpy(part).to(device) for part in vectors)
        self.vectors = {"user": users, "item": items}

    def forward(self, **inputs: Any) -> Any:
        """Put projected vectors into the embeddings and run the model."""
        slots = inputs.pop("slots")
        hidden = self.model.get_input_embeddings()(inputs.pop("input_ids")).clone()
        for kind in ("user", "item"):
            found = [
                (r, s.position, s.index)
                for r, own in enumerate(slots)
                for s in own
                if s.kind == kind
            ]
            rows, places, index = (
                torch.tensor(part, device=hidden.device) for part in zip(*found, strict=True)
            )
            project = getattr(self.projector, kind)
            hidden[rows, places] = project(self.vectors[kind][index]).to(hidden.dtype)
        return self.model(inputs_embeds=hidden, **inputs)


def _padded(rows: Sequence[Instance]) -> dict[str, Any]:
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, MASKED)
    for n, row in enumerate(rows):
        count = len(row.ids)
        ids[n, :count] = torch.from_numpy(row.ids.astype(np.int64))
        mask[n, :count] = 1
        labels[n, count - len(row.answer) : count] = torch.tensor(row.answer)
    # Labels stand where they are predicted, so the model has nothing to shift; without `labels` it computes no loss.
    made = {"input_ids": ids, "attention_mask": mask, "labels": labels, "shift_labels": labels}
    if any(row.slots for row in rows):
        made["slots"] = [row.slots for row in rows]
    return made

"""Fine-tune a LoRA on rows of a data set: what train-global and train-experts have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import Parameter

from core.config.training import LossConfig, MixConfig, OptimConfig, TrainGlobalConfig
from core.errors import DeviceMemoryError, EmptySplitError
from core.llm.decoder import Decoder
from core.llm.inject import Injector
from core.llm.load import Base
from core.llm.soft import SoftPrompt
from core.progress import Progress
from core.scoring.scorer import Scorer
from core.text.examples import Examples
from core.text.prompts import PromptBuilder
from core.training.instances import reasoning_instances, recommendation_instances
from core.training.language import LanguageLoss
from core.training.loop import TrainingRun, train
from core.training.lora import LoraSettings, attach, put_weights, save_adapter, select_layers
from core.training.schedule import draw_rows, plan_batches, total_steps
from core.training.validation import Validator, prompts_of_rows


def new_lora(base: Base, config: TrainGlobalConfig) -> Any:
    """Attach a fresh LoRA to a base model."""
    settings = LoraSettings(
        rank=config.rank,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        target_modules=config.target_modules,
    )
    return attach(base.model, settings, config.seed)


def new_soft(base: Base, config: TrainGlobalConfig) -> SoftPrompt | None:
    """Return a fresh soft prompt, None if the settings want none."""
    if not config.soft_tokens:
        return None
    embed = base.model.get_input_embeddings()
    return SoftPrompt.drawn(config.soft_tokens, embed, config.seed).to(base.device)


@dataclass(kw_only=True)
class FineTune:
    """A LoRA, the rows it learns from, and how."""

    model: Any
    """A PEFT model."""
    examples: Examples
    builder: PromptBuilder
    reasons: Mapping[int, str]
    """Row -> reason of the reasoning instances."""
    loss: LossConfig
    optim: OptimConfig
    folder: Path
    """Where checkpoints go."""
    progress: Progress
    soft: SoftPrompt | None = None
    """Trains with the LoRA if it requires gradients."""
    users: npt.NDArray[np.bool_] | None = None
    """(U,) whose rows count; None means everybody's."""
    first_layer: int = 0
    """LoRA layers from here on train."""
    cache_bytes: int = 0
    look_first: bool = False
    keep_start: bool = False
    """See TrainingRun."""

    def run(self, stage: str) -> TrainingRun:
        """Train; afterwards the model holds the last weights and the result's `best` the best ones.

        Raises: EmptySplitError if the users have no train rows, MismatchError for a prompt longer than the model sees,
            TrainingDivergedError, DeviceMemoryError.
        """
        dataset, optim = self.examples.dataset, self.optim
        rows = draw_rows(self._rows("train"), optim.train_rows, optim.seed)
        if not len(rows):
            raise EmptySplitError(
                f"train {stage}: no rows of the train split belong to these users",
                hint="Use fewer groups, or look at the groups: thinkrec sql 'select * from groups'",
            )
        parameters = select_layers(self.model, self.first_layer) | self._soft_parameters()
        instances = recommendation_instances(self.examples, self.builder, rows)
        count = len(instances)
        reasons = {r: t for r, t in self.reasons.items() if self._counts(int(dataset.user[r]))}
        instances += reasoning_instances(self.examples, self.builder, reasons)
        share = self.loss.reason_share if reasons else 0.0
        if not reasons:
            self._tell_what_is_passed_over(stage)
        steps = total_steps(optim, count, share)
        decoder = Decoder(self.model.get_base_model())
        injector = Injector.of(soft=self.soft, device=decoder.device)
        valid = draw_rows(self._rows("valid"), optim.valid_rows, optim.seed)
        batches = plan_batches(
            steps=steps,
            batch_size=optim.batch_size,
            recommendation=count,
            lengths=[one.prompt_tokens for one in instances],
            reason_share=share,
            seed=optim.seed,
        )
        loss = LanguageLoss(
            decoder=decoder,
            instances=instances,
            answers=self.builder.answers,
            config=self.loss,
            injector=injector,
            frozen_layers=self.first_layer,
            cache_bytes=self.cache_bytes,
            recurring=np.bincount(batches.ravel(), minlength=len(instances)) > 1,
        )
        result = TrainingRun(
            stage=stage,
            parameters=parameters,
            batches=batches,
            loss=loss,
            validate=Validator(
                model=self.model,
                scorer=Scorer(decoder, self.builder.answers, injector=injector),
                relevance=self.loss.relevance,
                prompts=prompts_of_rows(self.examples, self.builder, valid),
                labels=dataset.label[valid],
                users=dataset.user[valid],
            ),
            config=optim,
            folder=self.folder,
            progress=self.progress,
            look_first=self.look_first,
            keep_start=self.keep_start,
            numbers=decoder.numbers,
        )
        try:
            train(result)
        except DeviceMemoryError as full:
            if self.first_layer and self.cache_bytes:
                full.hint += " A lower --activation-cache-mb leaves more room, too."
            raise
        loss.forget()  # the next expert needs the room
        return result

    def save(
        self, folder: Path, base_name: str, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        """Write a PEFT directory of the weights as they are, or of the weights given (which stay in the model)."""
        if weights is not None:
            parameters = dict(self.model.named_parameters()) | self._soft_parameters()
            put_weights({name: parameters[name] for name in weights}, weights)
        save_adapter(self.model, folder, base_name)
        if self._soft_parameters() and self.soft is not None:
            self.soft.save(folder)

    def _tell_what_is_passed_over(self, stage: str) -> None:
        """Tell of settings that were changed for reasons, where there are none to learn from."""
        usual = MixConfig()
        names = ("reason_share", "alpha", "beta")
        changed = [name for name in names if getattr(self.loss, name) != getattr(usual, name)]
        if self.loss.reason_share and changed:
            self.progress.say(
                f"train {stage}: no reasons to learn from, so {', '.join(changed)} "
                f"{'changes' if len(changed) == 1 else 'change'} nothing"
            )

    def _soft_parameters(self) -> dict[str, Parameter]:
        """Return name -> parameter of a soft prompt that trains."""
        if self.soft is None or not self.soft.weight.requires_grad:
            return {}
        return {"soft_prompt.weight": self.soft.weight}

    def _counts(self, user: int) -> bool:
        return self.users is None or bool(self.users[user])

    def _rows(self, split: Any) -> npt.NDArray[np.int64]:
        rows = self.examples.dataset.rows(split)
        return rows if self.users is None else rows[self.users[self.examples.dataset.user[rows]]]

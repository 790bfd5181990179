"""The last stage: train the projector alone, with the language model and all LoRAs frozen (method, section 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.config.fuse import FuseConfig
from core.config.prompt import PromptConfig
from core.config.training import LossConfig
from core.evaluation.rows import ScoredRows
from core.fusion.mixture import Gates
from core.fusion.weights import Routing
from core.llm.decoder import Decoder
from core.llm.inject import Injector
from core.llm.load import Base
from core.llm.projector import Projector
from core.llm.soft import SoftPrompt
from core.progress import Progress
from core.scoring.scorer import Scorer
from core.text.examples import Examples
from core.text.frame import Frame
from core.text.prompts import PromptBuilder, Trained
from core.training.instances import recommendation_instances
from core.training.language import LanguageLoss
from core.training.loop import TrainingRun, train
from core.training.lora import put_weights
from core.training.schedule import draw_rows, plan_batches, total_steps
from core.training.validation import Validator, prompts_of_rows


@dataclass(kw_only=True)
class Projection:
    """A frozen mixture of LoRAs, and the projector to train before it."""

    base: Base
    gates: Gates
    offsets: npt.NDArray[np.float64]
    """(columns of the gates,) what each adds to the logit of Yes."""
    routing: Routing
    examples: Examples
    prompt: PromptConfig
    frame: Frame
    keywords: Sequence[Sequence[str]] | None
    vectors: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
    """(U, d1) user and (I, d1) item vectors."""
    trained: Trained
    """Whose vectors are shown."""
    soft: SoftPrompt | None
    """Soft prompt of the global adapter, if it has one."""
    loss: LossConfig
    """What the adapter was trained with: the projector goes on towards the same."""
    optim: FuseConfig
    folder: Path
    progress: Progress

    @cached_property
    def projector(self) -> Projector:
        """The projector, started from the seed."""
        torch.manual_seed(self.optim.seed)
        made = Projector(self.vectors[0].shape[1], self.decoder.width)
        made.match_scale(self.base.model.get_input_embeddings())
        return made.to(self.base.device)

    @cached_property
    def decoder(self) -> Decoder:
        """The frozen model."""
        return Decoder(self.base.model)

    def valid_without(self) -> ScoredRows:
        """Score the valid rows with the same model without projected vectors."""
        injector = Injector.of(soft=self.soft, device=self.base.device)
        return self._validator(self._builder(None), injector).scored()

    def valid_with(self, run: TrainingRun) -> ScoredRows:
        """Score the valid rows with the best weights of a run of this projector."""
        assert isinstance(run.validate, Validator)
        if run.validations[-1].best and run.validate.last is not None:
            return run.validate.last
        put_weights(run.parameters, run.best)
        return run.validate.scored()

    def run(self) -> TrainingRun:
        """Train on recommendation instances with collaborative prompts."""
        optim, dataset = self.optim, self.examples.dataset
        injector = Injector.of(
            soft=self.soft,
            projector=self.projector,
            vectors=self.vectors,
            device=self.base.device,
        )
        builder = self._builder(self.trained)
        rows = draw_rows(dataset.rows("train"), optim.train_rows, optim.seed)
        instances = recommendation_instances(self.examples, builder, rows)
        steps = total_steps(optim, len(instances), 0.0)
        columns = self.routing.columns
        result = TrainingRun(
            stage="projector",
            parameters=dict(self.projector.named_parameters()),
            batches=plan_batches(
                steps=steps,
                batch_size=optim.batch_size,
                recommendation=len(instances),
                lengths=[one.prompt_tokens for one in instances],
                reason_share=0.0,
                seed=optim.seed,
            ),
            loss=LanguageLoss(
                decoder=self.decoder,
                instances=instances,
                answers=builder.answers,
                config=self.loss,
                injector=injector,
                gates=self.gates,
                offsets=self.offsets,
                columns=columns[[one.user for one in instances]],
            ),
            validate=self._validator(builder, injector),
            config=optim,
            folder=self.folder,
            progress=self.progress,
            numbers=self.decoder.numbers,
        )
        train(result)
        return result

    def save(self, path: Path, weights: Mapping[str, Tensor]) -> None:
        """Write these weights of the projector."""
        put_weights(dict(self.projector.named_parameters()), weights)
        self.projector.save(path)

    def _builder(self, collaborative: Trained | None) -> PromptBuilder:
        return PromptBuilder(
            self.base.tokenizer,
            self.examples.dataset,
            self.prompt,
            keywords=self.keywords,
            collaborative=collaborative,
            frame=self.frame,
        )

    def _validator(self, builder: PromptBuilder, injector: Injector | None) -> Validator:
        dataset = self.examples.dataset
        rows = draw_rows(dataset.rows("valid"), self.optim.valid_rows, self.optim.seed)
        return Validator(
            model=self.projector,
            scorer=Scorer(
                self.decoder,
                builder.answers,
                gates=self.gates,
                offsets=self.offsets,
                injector=injector,
            ),
            relevance=self.loss.relevance,
            prompts=prompts_of_rows(self.examples, builder, rows),
            labels=dataset.label[rows],
            users=dataset.user[rows],
            columns=self.routing.columns[dataset.user[rows]],
        )

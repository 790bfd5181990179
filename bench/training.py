"""Training steps against transformers' Trainer with PEFT: the same instances, batches and number format.

    python -m bench.training [--steps 12] [--batch 16] [--device auto] [--markdown PATH]

The limit is the machine's matrix product: a step cannot be faster than its products forwards and, where
gradients have to go through, backwards.
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.setting import Setting, fresh_base, matrix_limit, model_flops, prepare
from bench.table import Beside, Line, run_alone
from bench.trainer_peer import Projected, step_seconds
from core.config.training import LossConfig, OptimConfig
from core.fusion.mixture import install_mixture, merge_adapter
from core.llm.decoder import Decoder
from core.llm.inject import Injector
from core.llm.projector import Projector
from core.progress import Silent
from core.text.prompts import PromptBuilder, Trained
from core.training.instances import Instance, reasoning_instances, recommendation_instances
from core.training.language import LanguageLoss
from core.training.loop import TrainingRun, train
from core.training.lora import LoraSettings, attach, select_layers
from core.training.schedule import plan_batches

STEPS, BATCH = 12, 16
SHORT = (3, 6)
TOP_LAYERS = 8
EPOCHS = 3
"""Of the experts: their frozen layers are run in the first and kept."""
DIM = 64
LORA = LoraSettings(rank=8, alpha=16, dropout=0.05, target_modules=("q_proj", "v_proj"))
REASON = "The person liked crime films with strong leads, and this one has both, so it fits well."


def lines(short: bool, device: str) -> list[Line]:
    """Measure with few or more steps."""
    return measure(*(SHORT if short else (STEPS, BATCH)), device=device)


def measure(steps: int, batch: int = BATCH, device: str = "auto") -> list[Line]:
    """Return the lines for so many steps of each kind with so many rows."""
    with tempfile.TemporaryDirectory() as root:
        bench = _Bench(prepare(Path(root), device), steps, batch, Path(root))
        return [bench.everywhere(), bench.top(1), bench.top(EPOCHS, 3.0), bench.projector()]


class _Bench:
    def __init__(self, setting: Setting, steps: int, batch: int, folder: Path) -> None:
        self._setting, self._folder, self._rows = setting, folder, batch
        self.instances = self._instances(setting.builder, steps)
        self.batches = plan_batches(
            steps=steps,
            batch_size=batch,
            recommendation=steps * batch,
            lengths=[one.prompt_tokens for one in self.instances],
            reason_share=0.2,
            seed=0,
        )
        base = fresh_base(setting.device)
        self._flops, self._layers = model_flops(base), base.model.config.num_hidden_layers
        self._limit = matrix_limit(base)

    def everywhere(self) -> Line:
        """A LoRA in all layers."""
        model = attach(fresh_base(self._setting.device).model, LORA, 0)
        parameters = select_layers(model, 0)
        ours = self._ours(parameters, self._loss(model, 0))
        peer = attach(fresh_base(self._setting.device).model, LORA, 0).train()
        theirs = _typical(step_seconds(peer, self.instances, self.batches))
        # Twice forwards: the products of the weights' own gradients are left out by LoRA.
        return self._line("train-global, one step", ours, theirs, 2.0, 1.5)

    def top(self, epochs: int, wanted: float | None = None) -> Line:
        """A LoRA whose last layers train; over several epochs the frozen ones run in the first."""
        model = attach(fresh_base(self._setting.device).model, LORA, 0)
        first = self._layers - TOP_LAYERS
        parameters = select_layers(model, first)
        loss = self._loss(model, first, cache_bytes=4_000_000_000)
        ours = self._ours(parameters, loss, epochs=epochs)
        peer = attach(fresh_base(self._setting.device).model, LORA, 0)
        select_layers(peer, first)
        theirs = _typical(step_seconds(peer, self.instances, self.batches))
        share = TOP_LAYERS / self._layers
        of = "one epoch" if epochs == 1 else f"{epochs} epochs"
        work = f"train-experts, one step of {of}, last {TOP_LAYERS} layers"
        return self._line(work, ours, theirs, 2 * share + (1 - share) / epochs, wanted)

    def projector(self) -> Line:
        """The projector before a frozen mixture of LoRAs; the peer has one LoRA merged."""
        setting, rng = self._setting, np.random.default_rng(0)
        dataset = setting.examples.dataset
        counts = (len(dataset.users), len(dataset.items))
        vectors = tuple(rng.normal(0, 0.1, (n, DIM)).astype(np.float32) for n in counts)
        builder = PromptBuilder(
            setting.builder.tokenizer,
            dataset,
            setting.builder.config,
            keywords=setting.keywords,
            collaborative=Trained(users=np.ones(counts[0], bool), items=np.ones(counts[1], bool)),
        )
        instances = self._instances(builder, len(self.batches), reasons=False)
        batches = plan_batches(
            steps=len(self.batches),
            batch_size=self._rows,
            recommendation=len(instances),
            lengths=[one.prompt_tokens for one in instances],
            reason_share=0.0,
            seed=0,
        )
        base = fresh_base(setting.device)
        gates = install_mixture(base.model, setting.adapters(), "exact")
        decoder = Decoder(base.model)
        projector = Projector(DIM, decoder.width)
        weights = rng.dirichlet(np.ones(len(setting.folders)), len(instances))
        loss = LanguageLoss(
            decoder=decoder,
            instances=instances,
            answers=builder.answers,
            config=LossConfig(),
            injector=Injector.of(
                projector=projector, vectors=(vectors[0], vectors[1]), device=decoder.device
            ),
            gates=gates,
            columns=weights,
        )
        ours = self._ours(dict(projector.named_parameters()), loss, batches=batches)
        frozen = fresh_base(setting.device).model
        merge_adapter(frozen, setting.adapters()[0])
        peer = Projected(frozen, Projector(DIM, decoder.width), (vectors[0], vectors[1]))
        theirs = _typical(step_seconds(peer, instances, batches))
        tokens = _tokens(instances, batches)
        return self._line("fuse, one step of the projector", ours, theirs, 2.0, 1.3, tokens)

    def _instances(
        self, builder: PromptBuilder, steps: int, *, reasons: bool = True
    ) -> list[Instance]:
        examples = self._setting.examples
        rows = np.sort(
            np.random.default_rng(0).choice(
                examples.dataset.rows("train"), steps * self._rows, False
            )
        )
        made = recommendation_instances(examples, builder, rows)
        if reasons:
            given = {int(row): REASON for row in rows[: len(rows) // 4]}
            made += reasoning_instances(examples, builder, given)
        return made

    def _loss(self, model: Any, first: int, cache_bytes: int = 0) -> LanguageLoss:
        return LanguageLoss(
            decoder=Decoder(model.get_base_model()),
            instances=self.instances,
            answers=self._setting.builder.answers,
            config=LossConfig(),
            frozen_layers=first,
            cache_bytes=cache_bytes,
        )

    def _ours(
        self, parameters: Any, loss: LanguageLoss, *, epochs: int = 1, batches: Any = None
    ) -> float:
        """Return the seconds of a step as training records them, the epochs' medians averaged.

        A GPU needs no waiting for here: a step reads its losses and the norm of its gradients, and what its optimiser
        has yet to do then falls into the next one.
        """
        plan = self.batches if batches is None else batches
        nan = float("nan")
        nothing = {"auc": nan, "uauc": nan, "log_loss": nan, "mean_score": nan, "rows": 0}
        run = TrainingRun(
            stage="bench",
            parameters=parameters,
            batches=np.concatenate([plan] * epochs),
            loss=loss,
            validate=lambda: nothing,
            config=OptimConfig(eval_steps=10**6, checkpoint_steps=10**6),
            folder=Path(tempfile.mkdtemp(dir=self._folder)),
            progress=Silent(),
        )
        train(run)
        parts = [run.steps[n * len(plan) : (n + 1) * len(plan)] for n in range(epochs)]
        return statistics.mean(_typical([step.seconds for step in part]) for part in parts)

    def _line(
        self,
        work: str,
        ours: float,
        theirs: float,
        products: float,
        wanted: float | None,
        tokens: float | None = None,
    ) -> Line:
        tokens = tokens or _tokens(self.instances, self.batches)
        return Line(
            work=f"{work}, {tokens:.0f} tokens",
            unit="s",
            ours=ours,
            peer=Beside("transformers Trainer + PEFT", theirs),
            limit=Beside("matrix products", tokens * self._flops * products / self._limit),
            smaller_is_better=True,
            ratio_at_least=wanted,
        )


def _tokens(instances: Sequence[Instance], batches: Any) -> float:
    """Mean tokens of a batch."""
    return float(np.mean([sum(instances[n].tokens for n in batch) for batch in batches]))


def _typical(seconds: Sequence[float]) -> float:
    """Median without the first, which warms up."""
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    sizes = {"steps": STEPS, "batch": BATCH}
    run_alone("bench.training", __doc__, measure, sizes, on_device=True)

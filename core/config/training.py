"""Settings that train-global, train-experts and the projector stage share."""

from dataclasses import dataclass
from typing import Any, Literal

from core.config.base import Config, option, seed_option
from core.config.prompt import PromptConfig


@dataclass(frozen=True, kw_only=True)
class OptimConfig(Config):
    """The optimiser, its schedule, and when to look at the valid split."""

    epochs: float = option(1.0, "Passes over the recommendation rows.")
    max_steps: int | None = option(
        None, "Stop after this many steps, whatever the epochs say.", least=1
    )
    batch_size: int = option(16, "Instances per step.")
    lr_start: float = option(1e-5, "Learning rate at the first step of the warm-up.", least=0)
    lr_peak: float = option(1e-4, "Learning rate after the warm-up.")
    lr_final: float = option(8e-5, "Learning rate at the last step; at most lr_peak.", least=0)
    warmup_steps: int = option(
        200, "Steps of linear warm-up; at most a fifth of all steps is used."
    )
    weight_decay: float = option(1e-3, "Weight decay of AdamW.", least=0)
    clip_norm: float = option(
        1.0, "Gradients are scaled down to this norm; 0 leaves them alone.", least=0
    )
    eval_steps: int = option(50, "Steps between two validations.")
    patience: int = option(
        5, "Validations without a better AUC before training stops; 0 never stops early."
    )
    valid_rows: int = option(
        500, "Rows of the valid split to validate on, drawn once by seed; 0 uses all."
    )
    train_rows: int = option(
        0, "Rows of the train split to train on, drawn once by seed; 0 uses all."
    )
    checkpoint_steps: int = option(25, "Steps between two checkpoints.", keyed=False)
    micro_batch_tokens: int = option(
        0,
        "Most tokens of a step that go through the model at once; a longer batch goes in pieces whose gradients add "
        "up, which takes less memory and changes only the random numbers of dropout. 0 takes batches whole.",
        keyed=False,
        least=0,
    )
    seed: int = seed_option("Seed of sampling, order and dropout.")

    def __post_init__(self) -> None:
        """Check ranges. Raises: ConfigError."""
        super().__post_init__()
        self.check(
            self.lr_final <= self.lr_peak,
            f"lr_final = {self.lr_final} is above lr_peak = {self.lr_peak}: the rate would grow",
            hint="Lower --lr-final, or raise --lr-peak.",
        )
        self.check(
            self.lr_start <= self.lr_peak,
            f"lr_start = {self.lr_start} is above lr_peak = {self.lr_peak}: the warm-up would fall",
            hint="Lower --lr-start, or raise --lr-peak.",
        )
        for name in ("batch_size", "eval_steps", "checkpoint_steps"):
            self.check(getattr(self, name) > 0, f"{name} is not positive", hint="Use 1 or more.")
        self.check(self.epochs > 0, "epochs is not positive", hint="Use more than 0.")
        for name in ("warmup_steps", "patience", "valid_rows", "train_rows"):
            self.check(getattr(self, name) >= 0, f"{name} is negative", hint="Use 0 or more.")


@dataclass(frozen=True, kw_only=True)
class MixConfig(Config):
    """How the two losses are mixed. Source: equation (7)."""

    alpha: float = option(0.1, "Weight of the recommendation loss on a reasoning instance.")
    beta: float = option(0.9, "Weight of the thinking loss on a reasoning instance.")
    theta: float = option(0.9, "Weight of the recommendation loss on a recommendation instance.")
    gamma: float = option(0.1, "Weight of the thinking loss on a recommendation instance.")
    reason_share: float = option(
        0.2, "Share of reasoning instances in the mixed sampling; 0 trains without reasons."
    )

    def __post_init__(self) -> None:
        """Check ranges. Raises: ConfigError."""
        super().__post_init__()
        self.check(
            0 <= self.reason_share < 1, "reason_share is not in [0, 1)", hint="The paper uses 0.2."
        )
        for name in ("alpha", "beta", "theta", "gamma"):
            self.check(
                getattr(self, name) >= 0, f"{name} is negative", hint="Weights are 0 or more."
            )


def _of_adapter(text: str) -> Any:
    return option(None, f"{text}; the adapter's if not given.", least=0)


@dataclass(frozen=True, kw_only=True)
class LossConfig(MixConfig):
    """What is learnt. Experts take the relevance score of the adapter they start from."""

    relevance: Literal["yes", "margin"] = option(
        "margin",
        "Relevance score s: the raw logit of Yes (the paper's), or Yes minus No (calibrated from the start).",
    )


@dataclass(frozen=True, kw_only=True)
class TrainGlobalConfig(PromptConfig, OptimConfig, LossConfig):
    """Settings of `thinkrec train-global`."""

    base: str = option(
        "smollm2-135m-instruct", "Base model: a resource, a folder, or a hub id.", folder=True
    )
    rank: int = option(8, "Rank r of the LoRA.")
    lora_alpha: int = option(
        16, "Scaling alpha of the LoRA; the delta is scaled by alpha / r.", least=1
    )
    lora_dropout: float = option(0.05, "Dropout before the LoRA.")
    target_modules: tuple[str, ...] = option(
        ("q_proj", "v_proj"), "Linear layers that get a LoRA; repeat the option for several."
    )
    only_groups: tuple[int, ...] = option(
        (),
        "Train on the rows of these groups of --groups only, all users if not given; repeat the option for several.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "Numbers of the frozen base; auto takes bfloat16 where the machine is fast at it."
    )
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", keyed=False)

    def __post_init__(self) -> None:
        """Check ranges. Raises: ConfigError."""
        super().__post_init__()
        self.check(self.rank > 0, "rank is not positive", hint="The paper uses 8.")
        self.check(
            0 <= self.lora_dropout < 1, "lora_dropout is not in [0, 1)", hint="The paper uses 0.05."
        )


@dataclass(frozen=True, kw_only=True)
class TrainExpertsConfig(OptimConfig):
    """Settings of `thinkrec train-experts`: as train-global, but from its adapter and in the last layers.

    The losses are mixed as the adapter's were, but for what is given.
    """

    alpha: float | None = _of_adapter("Weight of the recommendation loss on a reasoning instance")
    beta: float | None = _of_adapter("Weight of the thinking loss on a reasoning instance")
    theta: float | None = _of_adapter("Weight of the recommendation loss on a recommendation one")
    gamma: float | None = _of_adapter("Weight of the thinking loss on a recommendation instance")
    reason_share: float | None = _of_adapter(
        "Share of reasoning instances in the mixed sampling; 0 trains without reasons"
    )

    valid_rows: int = option(
        500,
        "Rows of each group in the valid split to validate its expert on, drawn once by seed; 0 uses all.",
    )
    train_rows: int = option(
        0,
        "Rows of each group in the train split to train its expert on, drawn once by seed; 0 uses all.",
    )

    lr_start: float = option(1e-5, "Learning rate at the first step of the warm-up.", least=0)
    lr_peak: float = option(1e-5, "Learning rate after the warm-up.")
    lr_final: float = option(8e-6, "Learning rate at the last step; at most lr_peak.", least=0)
    layers: int = option(8, "LoRA layers that train, counted from the last.")
    keep_start: bool = option(
        True,
        "Validate before the first step, too: an expert that no step makes better on its group's valid rows stays "
        "the adapter it starts from.",
    )
    add_group: int | None = option(
        None,
        "Train one more expert, for this group alone, and keep the experts given by --experts.",
        least=0,
    )
    only_groups: tuple[int, ...] = option(
        (),
        "Train experts of these groups only, of all if not given; repeat the option for several.",
    )
    activation_cache_mb: int = option(
        2000,
        "Memory for hidden states below the trained layers, in MB; beyond it they are recomputed.",
        keyed=False,
        least=0,
    )
    dtype: Literal["auto", "float32", "bfloat16"] = option("auto", "Numbers of the frozen base.")
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", keyed=False)

    def __post_init__(self) -> None:
        """Check ranges. Raises: ConfigError."""
        super().__post_init__()
        self.check(self.layers > 0, "layers is not positive", hint="The paper uses 8.")
        self.check(
            self.reason_share is None or self.reason_share < 1,
            "reason_share is not in [0, 1)",
            hint="The paper uses 0.2.",
        )
        self.check(
            self.add_group is None or not self.only_groups,
            "add_group and only_groups exclude each other",
            hint="--add-group G trains the expert of group G alone, and keeps the others.",
        )


def chance_of(relevance: str | None) -> str:
    """Return what the probability of a score is, in words, by the setting `relevance`.

    The paper's score looks at Yes alone, so it may say otherwise than the answer, which is the likelier word.
    """
    return (
        "by the logit of Yes alone, as the paper scores"
        if relevance == "yes"
        else "likely to like it"
    )

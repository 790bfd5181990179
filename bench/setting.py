"""What benches of the language model share: prompts, experts that differ in the last 8 layers, the machine's limit."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artifacts.store import Store
from bench.table import BASE_VARIABLE
from core.config.augment import AugmentConfig
from core.config.ingest import IngestConfig
from core.config.prompt import PromptConfig
from core.fusion.adapters import LoraWeights
from core.llm.device import DtypeName
from core.llm.load import Base, load_base
from core.stages import augment, ingest
from core.stages.base import Context, run_stage
from core.stages.kinds import KINDS
from core.stages.language import open_examples, open_keywords
from core.text.examples import Examples
from core.text.prompts import PromptBuilder
from core.training.lora import LoraSettings, attach

MODEL = os.environ.get(BASE_VARIABLE, "smollm2-135m-instruct")
EXPERTS = 3
TOP_LAYERS = 8


@dataclass(frozen=True)
class Timed:
    """One measured piece of work."""

    seconds: float
    pairs: int

    @property
    def pairs_per_second(self) -> float:
        """Pairs of user and item scored in a second."""
        return self.pairs / self.seconds


@dataclass(frozen=True)
class Setting:
    """Data, prompts and adapters."""

    examples: Examples
    builder: PromptBuilder
    folders: list[Path]
    """PEFT directories: the global adapter, then the experts."""
    keywords: list[list[str]] | None
    """Of every item."""
    device: torch.device
    """Where all models are."""

    def adapters(self) -> list[LoraWeights]:
        """Open all adapters."""
        return [LoraWeights.open(folder) for folder in self.folders]


def prepare(root: Path, device: str) -> Setting:
    """Ingest MovieLens-100K, extract keywords, and write a global adapter and experts with random weights."""
    store = Store.open(root / "store", KINDS, program_version="bench")
    context = Context(store=store)
    dataset = run_stage(context, ingest.STAGE, IngestConfig(source="ml-100k")).artifact
    keywords = run_stage(context, augment.STAGE, AugmentConfig()).artifact
    examples = open_examples(dataset, None)
    base = load_base(MODEL, dtype="float32", device=device)
    words = open_keywords(keywords, examples.dataset)
    config = PromptConfig(history_length=10, keywords_per_item=3)
    builder = PromptBuilder(base.tokenizer, examples.dataset, config, keywords=words)
    return Setting(examples, builder, _write_adapters(base, root), words, base.device)


def fresh_base(device: torch.device, dtype: DtypeName = "auto") -> Base:
    """Load the base model anew; auto is the number format that is fast there."""
    return load_base(MODEL, dtype=dtype, device=str(device))


def clock(device: torch.device) -> float:
    """Return the time in seconds when the device has done what it was given: a GPU works on while Python goes ahead."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def best_of(work: Callable[[], int], device: torch.device, times: int = 2) -> Timed:
    """Run once to warm up, then a few times; keep the fastest."""
    pairs = work()
    seconds = []
    for _ in range(times):
        started = clock(device)
        work()
        seconds.append(clock(device) - started)
    return Timed(min(seconds), pairs)


def matrix_limit(base: Base) -> float:
    """Return the FLOP/s of plain matrix products of the model's largest shape.

    A GPU gets as many rows as scoring gives it at most: with few it would wait for Python to ask for the next product.
    """
    device, config = base.device, base.model.config
    rows = 65_536 if device.type == "cuda" else 2048
    width, wide = int(config.hidden_size), int(config.intermediate_size)
    a = torch.randn(rows, width, dtype=base.dtype, device=device)
    b = torch.randn(width, wide, dtype=base.dtype, device=device)
    # As many as take the time of two hundred of the small model's, twenty at least.
    times = max(20, 200 * 576 * 1536 // (width * wide))
    for _ in range(max(2, times // 10)):
        a @ b
    started = clock(device)
    for _ in range(times):
        a @ b
    return times * 2 * rows * width * wide / (clock(device) - started)


def model_flops(base: Base) -> float:
    """Return the FLOPs per token of the layers' matrix products, without attention and head."""
    weights = sum(
        p.numel() for n, p in base.model.named_parameters() if ".layers." in n and p.ndim == 2
    )
    return 2.0 * weights


def _write_adapters(base: Base, root: Path) -> list[Path]:
    settings = LoraSettings(rank=8, alpha=16, dropout=0.0, target_modules=("q_proj", "v_proj"))
    model = attach(base.model, settings, seed=0)
    lora = {n: p for n, p in model.named_parameters() if "lora_" in n}
    layers = base.model.config.num_hidden_layers
    generator = torch.Generator().manual_seed(0)  # on the CPU: the same adapters on every device

    def disturb(first: int) -> None:
        with torch.no_grad():
            for name, parameter in lora.items():
                if int(name.split(".layers.")[1].split(".")[0]) >= first:
                    noise = 0.02 * torch.randn(parameter.shape, generator=generator)
                    parameter.add_(noise.to(parameter.device))

    disturb(0)
    start = {n: p.detach().clone() for n, p in lora.items()}
    folders = []
    for index in range(EXPERTS + 1):
        with torch.no_grad():
            for name, parameter in lora.items():
                parameter.copy_(start[name])
        if index:
            disturb(layers - TOP_LAYERS)
        folders.append(root / f"adapter-{index}")
        model.save_pretrained(folders[-1], save_embedding_layers=False)
    return folders


def random_columns(count: int, seed: int = 0, experts: int = EXPERTS) -> Any:
    """Return (count, 1 + experts) weights: every row fused from all experts, each differently."""
    weights = np.random.default_rng(seed).dirichlet(np.full(experts, 3.0), count)
    return np.concatenate([np.zeros((count, 1)), weights], axis=1)

"""LoRA weights as PEFT writes them: read, compare, combine exactly, write."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import MismatchError, ModelFolderError

_KEY = re.compile(r"^base_model\.model\.(?P<path>.+)\.lora_(?P<side>[AB])\.weight$")


@dataclass(frozen=True)
class LoraPair:
    """The two factors of one adapted layer."""

    a: Tensor
    """(r, in)"""
    b: Tensor
    """(out, r)"""


@dataclass(frozen=True, kw_only=True)
class LoraWeights:
    """All adapted layers of one adapter: module path in the base model -> factors."""

    pairs: Mapping[str, LoraPair]
    scaling: float
    """alpha / r."""
    config: Mapping[str, Any]
    """adapter_config.json as it was read."""

    @classmethod
    def open(cls, folder: Path) -> "LoraWeights":
        """Read a PEFT directory. Raises: ModelFolderError if it is none, or of a kind that has no plain B A."""
        path, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
        if not path.exists() or not weights.exists():
            raise ModelFolderError(
                f"{folder} is no PEFT adapter (adapter_config.json and adapter_model.safetensors are needed)",
                hint="Name an adapter made by thinkrec train-global.",
            )
        config = json.loads(path.read_text())
        unusual = [
            k for k in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern") if config.get(k)
        ]
        if config.get("peft_type") != "LORA" or unusual:
            raise ModelFolderError(
                f"{folder} is not a plain LoRA ({', '.join(unusual) or config.get('peft_type')})",
                hint="Fusion needs plain LoRA adapters of one rank.",
            )
        sides: dict[str, dict[str, Tensor]] = {}
        for key, tensor in load_file(weights).items():
            if match := _KEY.match(key):
                sides.setdefault(match["path"], {})[match["side"]] = tensor.float()
        pairs = {path: LoraPair(a=s["A"], b=s["B"]) for path, s in sorted(sides.items())}
        return cls(pairs=pairs, scaling=config["lora_alpha"] / config["r"], config=config)

    def delta(self, path: str) -> Tensor:
        """Return (out, in) what this adapter adds to a layer's weight."""
        pair = self.pairs[path]
        return self.scaling * (pair.b @ pair.a)


def require_same_layers(adapters: Sequence[LoraWeights]) -> None:
    """Raises: MismatchError unless all adapters adapt the same layers."""
    for adapter in adapters[1:]:
        if set(adapter.pairs) != set(adapters[0].pairs):
            odd = min(set(adapter.pairs) ^ set(adapters[0].pairs))
            raise MismatchError(
                f"the adapters do not adapt the same layers ({odd} is in one only)",
                hint="Use experts that were trained from one global adapter.",
            )


def is_shared(adapters: Sequence[LoraWeights], path: str) -> bool:
    """Return whether all adapters hold the very same factors in a layer."""
    first = adapters[0].pairs[path]
    return all(
        torch.equal(first.a, other.pairs[path].a)
        and torch.equal(first.b, other.pairs[path].b)
        and adapters[0].scaling == other.scaling
        for other in adapters[1:]
    )


def write_combined(
    folder: Path, adapters: Sequence[LoraWeights], weights: Sequence[float], base_name: str
) -> None:
    """Write one plain PEFT adapter whose delta is exactly the weighted sum of several.

    The factors are stacked (rank = sum of ranks), as PEFT's "cat" does; where all adapters agree, one copy is kept
    and the rank stays. Layers of a rank of their own are named in the config's rank_pattern.

    Args:
        adapters: LoRA weights with the same layers.
        weights: one weight per adapter, summing to 1.
        base_name: name or folder of the base model, for PEFT's config.
    """
    used = [(a, w) for a, w in zip(adapters, weights, strict=True) if w]
    tensors, ranks = {}, {}
    for path in used[0][0].pairs:
        shared = is_shared([a for a, _ in used], path)
        parts = [(used[0][0], 1.0)] if shared else used
        a = torch.cat([adapter.pairs[path].a for adapter, _ in parts])
        b = torch.cat(
            [adapter.pairs[path].b * (weight * adapter.scaling) for adapter, weight in parts], 1
        )
        tensors[f"base_model.model.{path}.lora_A.weight"] = a.contiguous()
        tensors[f"base_model.model.{path}.lora_B.weight"] = b.contiguous()
        ranks[path] = len(a)
    common = max(set(ranks.values()), key=lambda r: (list(ranks.values()).count(r), r))
    pattern = {path: rank for path, rank in ranks.items() if rank != common}
    config = {
        **used[0][0].config,
        "base_model_name_or_path": base_name,
        "r": common,
        "lora_alpha": common,  # the scaling is folded into B
        "rank_pattern": pattern,
        "alpha_pattern": dict(pattern),
        "inference_mode": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")

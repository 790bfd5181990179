"""Random LoRAs for tests: a global one, and experts that differ from it in the last layers only."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def open_tiny(folder: Path) -> Any:
    """Open a model in float32, for inference."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def write_adapters(
    base: Path,
    root: Path,
    *,
    experts: int = 2,
    first_layer: int = 2,
    targets: tuple[str, ...] = ("q_proj", "v_proj"),
) -> list[Path]:
    """Write a global adapter and experts; return their folders, the global one first."""
    generator = torch.Generator().manual_seed(7)
    torch.manual_seed(7)  # PEFT draws the first factors from torch's own generator
    model = get_peft_model(
        open_tiny(base),
        LoraConfig(r=4, lora_alpha=8, target_modules=list(targets), task_type="CAUSAL_LM"),
    )
    lora = {n: p for n, p in model.named_parameters() if "lora_" in n}

    def noise(scale: float, first: int) -> None:
        with torch.no_grad():
            for name, parameter in sorted(lora.items()):
                if int(name.split(".layers.")[1].split(".")[0]) >= first:
                    parameter.add_(scale * torch.randn(parameter.shape, generator=generator))

    noise(0.4, 0)
    start = {n: p.detach().clone() for n, p in lora.items()}
    folders = []
    for index in range(experts + 1):
        with torch.no_grad():
            for name, parameter in lora.items():
                parameter.copy_(start[name])
        if index:
            noise(0.4, first_layer)
        folders.append(root / f"adapter-{index}")
        model.save_pretrained(folders[-1])
    return folders

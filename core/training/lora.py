"""LoRA on a base model by PEFT: attach, choose the layers that train, take and put weights, save."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import ConfigError
from core.llm import dropout
from core.llm.quiet import quiet_transformers

_LAYER = re.compile(r"\.layers\.(\d+)\.")


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Shape of the LoRA (method, section 5)."""

    rank: int
    alpha: int
    dropout: float
    target_modules: Sequence[str]


def attach(model: Any, settings: LoraSettings, seed: int) -> Any:
    """Return a PEFT model with a fresh LoRA; B is zero, so its outputs are those of the base.

    Raises: ConfigError if the base has no layer of a name in target_modules.
    """
    from peft import LoraConfig, get_peft_model

    _check_targets(model, settings.target_modules)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules),
        task_type="CAUSAL_LM",
    )
    with quiet_transformers():
        return get_peft_model(model, config)


def _check_targets(model: Any, wanted: Sequence[str]) -> None:
    """Look for a linear layer of each name inside the decoder layers, the only ones that train.

    Raises: ConfigError.
    """
    names = [
        f".{name}"
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and _layer_of(f".{name}") >= 0
    ]
    known = sorted({name.rpartition(".")[2] for name in names})
    if not wanted:
        raise ConfigError(
            "target_modules is empty: nothing would train", hint=f"Choose from {', '.join(known)}."
        )
    for target in wanted:
        if not any(name.endswith(f".{target}") for name in names):
            raise ConfigError(
                f"target_modules: the base model has no linear layer '{target}' in its decoder layers",
                hint=f"They have {', '.join(known)}.",
            )


def reopen(model: Any, folder: Path) -> Any:
    """Return a PEFT model with a saved LoRA that can go on training."""
    from peft import PeftModel

    with quiet_transformers():
        return PeftModel.from_pretrained(
            model, folder, is_trainable=True, torch_device=str(next(model.parameters()).device)
        )


def select_layers(peft_model: Any, first: int) -> dict[str, torch.nn.Parameter]:
    """Let only LoRA weights of layers `first`.. train, and apply dropout only there.

    Returns: name -> parameter, in a fixed order.
    """
    chosen: dict[str, torch.nn.Parameter] = {}
    for name, parameter in sorted(peft_model.named_parameters()):
        wanted = "lora_" in name and _layer_of(name) >= first
        parameter.requires_grad_(wanted)
        if wanted:
            chosen[name] = parameter
    if next(iter(chosen.values())).device.type == "cpu":
        dropout.install(peft_model)
    peft_model.eval()
    for name, module in peft_model.named_modules():
        if "lora_dropout" in name and _layer_of(name + ".") >= first:
            module.train()
    return chosen


class NoDropout:
    """Inside, a model runs without dropout; afterwards each module is as it was."""

    def __init__(self, model: Any) -> None:
        """Take the model whose training flags are to be put aside."""
        self._model = model

    def __enter__(self) -> None:
        self._training = [module for module in self._model.modules() if module.training]
        self._model.eval()

    def __exit__(self, *exc: object) -> None:
        for module in self._training:
            module.training = True


def put_weights(
    parameters: Mapping[str, torch.nn.Parameter], weights: Mapping[str, Tensor]
) -> None:
    """Copy weights into parameters of the same names."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def save_adapter(peft_model: Any, folder: Path, base_name: str) -> None:
    """Write a PEFT directory: adapter_config.json and adapter_model.safetensors."""
    peft_model.peft_config["default"].base_model_name_or_path = base_name
    # "auto" would ask the model hub whether the vocabulary was resized; it never is.
    peft_model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card template says nothing here


def _layer_of(name: str) -> int:
    match = _LAYER.search(name)
    return int(match[1]) if match else -1

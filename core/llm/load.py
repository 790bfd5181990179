"""Open the language model that everything starts from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import ModelFolderError
from core.llm.decoder import require_stock_logits
from core.llm.device import DtypeName, gpu_trouble_is_told, pick_device, pick_dtype, start_gpu
from core.llm.identity import base_digest, base_folder
from core.llm.quiet import first_line, quiet_transformers
from core.memory import settle_memory
from core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Base:
    """A frozen language model with its tokenizer."""

    model: Any
    """A transformers causal language model, in evaluation mode, no gradients."""
    tokenizer: Any
    """A fast tokenizer."""
    digest: str
    """Sha256 that stands for weights, configuration and tokenizer in keys and contracts."""
    spec: str
    """How to ask for it again from anywhere: a resource's name, the full path of a folder, or a hub id."""
    device: torch.device
    dtype: torch.dtype


def load_base(
    spec: str,
    *,
    dtype: DtypeName = "auto",
    device: str = "auto",
    progress: Progress | None = None,
    by_layers: bool = True,
) -> Base:
    """Load a language model and its tokenizer.

    Args:
        spec: name of a resource (smollm2-135m-instruct), a model folder, or a hub id.
        dtype: number format of the weights; auto is bfloat16 where the machine has it.
        device: auto, cpu, cuda or cuda:N.
        by_layers: whether its layers will be run one by one, which not every build lets; else as transformers has it.
    Raises: ModelFolderError, ResourceFetchError, ChecksumError, DiskFullError, ConfigError,
        DeviceMemoryError.
    """
    settle_memory()
    place = pick_device(device)
    start_gpu(place)
    number_format = pick_dtype(dtype, place)
    folder = base_folder(spec, progress)
    tokenizer, model = _open(folder, number_format, place)
    named = folder.resolve() == Path(spec).expanduser().resolve()
    model = model.requires_grad_(False).to(place).eval()
    if by_layers:
        require_stock_logits(model)
    return Base(
        model=model,
        tokenizer=tokenizer,
        digest=base_digest(spec, progress),
        spec=str(folder.resolve()) if named else spec,
        device=place,
        dtype=number_format,
    )


def float32_has_room(spec: str, device: str, progress: Progress | None = None) -> bool:
    """Return whether a base in float32 takes at most half of a GPU's free memory; the rest is for what it computes.

    True for a CPU. Weights are taken to be stored in two bytes each. Raises: like load_base.
    """
    place = pick_device(device)
    if place.type == "cpu":
        return True
    start_gpu(place)
    stored = sum(path.stat().st_size for path in base_folder(spec, progress).glob("*.safetensors"))
    return 2 * 2 * stored <= torch.cuda.mem_get_info(place)[0]


def _not_opened(folder: Path, problem: Exception) -> ModelFolderError:
    return ModelFolderError(
        f"{folder} cannot be opened as a language model: {first_line(problem)}",
        hint="Give a folder with a causal language model made by save_pretrained.",
    )


def _open(folder: Path, dtype: torch.dtype, place: torch.device) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as problem:  # tokenizers has no class of its own for a broken file
            raise _not_opened(folder, problem) from problem
        try:
            with gpu_trouble_is_told(place):
                model, facts = AutoModelForCausalLM.from_pretrained(
                    folder,
                    dtype=dtype,
                    # Straight to a GPU: a model of 8B would take 16 GB of the host's memory on the way.
                    device_map=None if place.type == "cpu" else {"": place},
                    local_files_only=True,
                    use_safetensors=True,
                    output_loading_info=True,
                )
        except torch.OutOfMemoryError:
            raise  # a RuntimeError that says nothing of the folder
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as problem:
            raise _not_opened(folder, problem) from problem
    if missing := sorted(facts["missing_keys"]):
        raise ModelFolderError(
            f"{folder} lacks {len(missing)} weights of its own architecture, {missing[0]} first",
            hint="Give the folder of a whole language model.",
        )
    if not tokenizer.is_fast:
        raise ModelFolderError(
            f"{folder} has a tokenizer without a fast version",
            hint="Save it with a tokenizer.json beside it.",
        )
    return tokenizer, model

"""Turn a quantised GGUF file into a model folder, once."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from core.llm.quiet import quiet_transformers
from core.progress import Progress
from core.resources.cache import cache_root, fetch, locked_folder, publish_folder
from core.resources.table import digest

_RECIPE = "gguf to float32 safetensors, 1"
"""Raised when the conversion changes, so that keys and the cached folder change with it."""


def converted_digest(name: str) -> str:
    """Return what identifies the converted model of a resource, without converting it."""
    return hashlib.sha256(f"{_RECIPE}\n{digest(name)}".encode()).hexdigest()


def converted_folder(name: str, progress: Progress) -> Path:
    """Return the folder of a resource's model as float32 safetensors, converting it the first time.

    Raises: ResourceFetchError, ChecksumError, DiskFullError.
    """
    folder = cache_root() / "models" / f"{name}-{converted_digest(name)[:12]}"
    if folder.is_dir():  # it is renamed into place when it is complete
        return folder
    source = next(fetch(name, progress).glob("*.gguf"))
    with locked_folder(folder, progress) as scratch:
        if not folder.is_dir():
            progress.say(f"converting {source.name} to safetensors, once")
            finished = scratch / "files"
            _convert(source, finished)
            publish_folder(finished, folder)
    return folder


def _convert(source: Path, target: Path) -> None:
    """Write the model and tokenizer of a GGUF file as a folder that opens in a second."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers(), _no_dequantising_bar():
        loaded = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        # save_pretrained refuses a model that remembers having been quantised: save a fresh one.
        config = loaded.config
        del config.quantization_config
        fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        fresh.load_state_dict(loaded.state_dict())
        fresh.tie_weights()
        fresh.generation_config = loaded.generation_config
        fresh.save_pretrained(target)
        tokenizer.save_pretrained(target)


@contextmanager
def _no_dequantising_bar() -> Iterator[None]:
    """Silence the one bar that transformers' own switch does not reach."""
    from transformers import modeling_gguf_pytorch_utils as module

    bar = module.tqdm
    module.tqdm = partial(bar, disable=True)
    try:
        yield
    finally:
        module.tqdm = bar

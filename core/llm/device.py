"""Where and in which number format the language model runs."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from core.errors import ConfigError, DeviceMemoryError

DtypeName = Literal["auto", "float32", "bfloat16"]


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the device to use: the one wanted, or the first GPU, or the CPU.

    Args:
        wanted: auto, cpu, cuda or cuda:N.
    Raises: ConfigError if there is no such device here.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as problem:
        raise ConfigError(
            f"device {wanted!r} is no device", hint="Use auto, cpu, cuda or cuda:N."
        ) from problem
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"nothing here runs on {wanted!r}", hint="Use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"no device {wanted!r}: this machine has {torch.cuda.device_count()} GPUs",
            hint="Use --device auto or cpu.",
        )
    return device


def pick_dtype(wanted: DtypeName, device: torch.device) -> torch.dtype:
    """Return the number format of the frozen weights.

    Where a CPU or a GPU (before Ampere) lacks bfloat16 instructions they are emulated, several times slower than
    float32.
    """
    if wanted == "auto":
        if device.type == "cuda":
            # is_bf16_supported counts GPUs that emulate it.
            native = torch.cuda.get_device_capability(device)[0] >= 8
            return torch.bfloat16 if native else torch.float32
        native = device.type == "cpu" and has_bfloat16()
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def has_bfloat16() -> bool:
    """Return whether the CPU has instructions for bfloat16, as far as torch knows: its builds may lack oneDNN."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


@lru_cache(maxsize=1)
def has_tiles() -> bool:
    """Return whether the CPU multiplies matrices of bfloat16 tile by tile (AMX): several times as fast."""
    asked = getattr(torch.cpu, "_is_amx_tile_supported", bool)  # torch promises nothing about it
    return bool(asked())


@contextmanager
def full_memory_is_told(hint: str) -> Iterator[None]:
    """Say what to do where a GPU's memory does not suffice (a CPU's program is killed by the system).

    Raises: DeviceMemoryError.
    """
    try:
        yield
    except torch.OutOfMemoryError as problem:
        raise DeviceMemoryError.of(problem, hint=hint) from problem


def describe_machine(wanted: str = "auto") -> str:
    """Return one line for result files: "cpu 2 threads, Intel Xeon ..., torch 2.13.0".

    Args:
        wanted: the device asked for, as pick_device takes it.
    """
    device = pick_device(wanted)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return f"cuda {name}, CUDA {torch.version.cuda}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return f"cpu {threads} of {os.cpu_count()} threads, {_processor()}, torch {torch.__version__}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    except OSError:
        pass  # not Linux: the platform module knows less, but something
    return platform.processor() or platform.machine()

"""Where and in which number format the language model runs."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from core.errors import ConfigError, DeviceMemoryError
from core.llm.quiet import first_line

_GPU_TROUBLE = re.compile(r"CUDA|cuBLAS|CUBLAS|cuDNN|CUDNN|NVIDIA|HIP error")
"""In errors of the driver and of the libraries of a GPU, which say nothing of the build of a model."""
_GPU_IS_FULL = re.compile(r"out of memory|ALLOC_FAILED")
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


def start_gpu(device: torch.device) -> None:
    """Have a GPU compute something, so that one that cannot be used is told of before anything is loaded.

    Nothing to do for a CPU. Raises: ConfigError, DeviceMemoryError.
    """
    if device.type != "cuda":
        return
    # cuDNN's attention, which torch prefers on the newest GPUs, is planned anew for each shape, and every batch of
    # texts has one of its own.
    torch.backends.cuda.enable_cudnn_sdp(False)
    with gpu_trouble_is_told(device):
        torch.zeros(1, device=device)


@contextmanager
def gpu_trouble_is_told(device: torch.device) -> Iterator[None]:
    """Say in a line what the driver or a library of a GPU says in many; other errors pass.

    Raises: ConfigError, DeviceMemoryError.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise  # what was being done knows a better remedy
    except RuntimeError as trouble:
        text = str(trouble)
        if not _GPU_TROUBLE.search(text):
            raise
        if _GPU_IS_FULL.search(text):
            raise DeviceMemoryError.of(
                trouble,
                hint="See what else runs there (nvidia-smi), or use --device cuda:N or --device cpu.",
            ) from trouble
        raise ConfigError(
            f"{device} cannot be used: {first_line(trouble)}",
            hint="See that torch is built for this GPU and its driver (docs/gpu.md), or use --device cpu.",
        ) from trouble


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

"""Weights of an encoder as one safetensors file."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from core.errors import MismatchError

FILE = "weights.safetensors"


def write_weights(folder: Path, weights: dict[str, npt.NDArray[Any]]) -> None:
    """Write named arrays."""
    save_file({name: np.array(array, order="C") for name, array in weights.items()}, folder / FILE)


def read_weights(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Read named arrays."""
    return dict(load_file(folder / FILE))


def require_shapes(
    found: dict[str, npt.NDArray[Any]], wanted: dict[str, tuple[int, ...]], folder: Path
) -> None:
    """Raises: MismatchError if arrays are missing, left over or of other shapes than wanted."""
    shapes = {name: tuple(array.shape) for name, array in found.items()}
    if shapes != wanted:
        names = shapes.keys() | wanted.keys()
        odd = sorted(name for name in names if shapes.get(name) != wanted.get(name))
        raise MismatchError(
            f"{folder / FILE} does not fit this data set: {odd[0]} is {shapes.get(odd[0])}, "
            f"wanted {wanted.get(odd[0])}",
            hint="Use the data set that the encoder was trained on, or train it again.",
        )

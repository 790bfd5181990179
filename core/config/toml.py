"""TOML files of the user, recipes and settings: read whole, and refused in words."""

import tomllib
from pathlib import Path
from typing import Any

from core.errors import EncodingError, MissingFileError, ThinkRecError


def read_toml(
    path: Path, *, what: str, missing: str, broken: type[ThinkRecError]
) -> dict[str, Any]:
    """Return the content of a TOML file.

    Args:
        what: what to call it in messages: recipe, settings file.
        missing: what to do where there is none.
        broken: the error to raise for a file that is not TOML.
    Raises: MissingFileError, EncodingError, `broken`.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows mark it
    except OSError as problem:
        raise MissingFileError(
            f"{what} {path} cannot be read: {problem.strerror}", hint=missing
        ) from problem
    except UnicodeDecodeError as problem:
        raise EncodingError(
            f"{what} {path} is not UTF-8 text: {problem.reason} at byte {problem.start}",
            hint="Save it as UTF-8; TOML knows no other encoding.",
        ) from problem
    except tomllib.TOMLDecodeError as problem:
        raise broken(
            f"{path} is not TOML: {problem}", hint="Correct that line; strings need quotes."
        ) from problem
    except (ValueError, RecursionError) as problem:  # what Python has no room for
        what = (
            "is nested too deep" if isinstance(problem, RecursionError) else "has a number too long"
        )
        raise broken(f"{path} {what}", hint="Correct that line.") from problem

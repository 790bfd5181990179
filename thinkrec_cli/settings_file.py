"""Settings of a command from a TOML file."""

import tomllib
from pathlib import Path
from typing import Any

from core.config.base import with_underscores
from core.errors import ConfigError, EncodingError, MissingFileError
from core.stages.base import Stage
from thinkrec_cli.commands import COMMANDS


def read_settings(file: Path, stage: Stage[Any]) -> dict[str, Any]:
    """Return the settings a file gives for a stage.

    Keys at the top are settings; a table with a command's name holds settings of that command
    only, so that one file can serve a whole pipeline.
    Raises: MissingFileError, EncodingError, ConfigError.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise MissingFileError(
            f"settings file {file} cannot be read: {problem.strerror}",
            hint="Name an existing TOML file.",
        ) from problem
    except UnicodeDecodeError as problem:
        raise EncodingError(
            f"settings file {file} is not UTF-8 text: {problem.reason} at byte {problem.start}",
            hint="Save it as UTF-8; TOML knows no other encoding.",
        ) from problem
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(
            f"{file} is not TOML: {problem}", hint="Correct that line; strings need quotes."
        ) from problem
    own = content.get(stage.command)
    own = own if isinstance(own, dict) else {}  # else a setting, which will be unknown
    general = {key: value for key, value in content.items() if not _is_command(key, value)}
    return with_underscores(general, where=str(file)) | with_underscores(
        own, where=f"{file} [{stage.command}]"
    )


def _is_command(key: str, value: Any) -> bool:
    return key in COMMANDS and isinstance(value, dict)

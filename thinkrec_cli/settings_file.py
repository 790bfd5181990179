"""Settings of a command from a TOML file."""

from pathlib import Path
from typing import Any

from core.config.base import with_underscores
from core.config.toml import read_toml
from core.errors import ConfigError
from core.stages.base import Stage
from thinkrec_cli.commands import COMMANDS


def read_settings(file: Path, stage: Stage[Any]) -> dict[str, Any]:
    """Return the settings a file gives for a stage.

    Keys at the top are settings; a table with a command's name holds settings of that command
    only, so that one file can serve a whole pipeline.
    Raises: MissingFileError, EncodingError, ConfigError.
    """
    content = read_toml(
        file, what="settings file", missing="Name an existing TOML file.", broken=ConfigError
    )
    general: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in content.items():
        command = key.replace("_", "-")
        if not (command in COMMANDS and isinstance(value, dict)):
            general[key] = value
        elif command == stage.command:
            own |= with_underscores(value, where=f"{file} [{key}]")
    return with_underscores(general, where=str(file)) | own

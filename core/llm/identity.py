"""What a language model is called and what identifies it; imported without torch."""

import re
from pathlib import Path

from core.errors import ModelFolderError, ResourceFetchError
from core.llm.convert import converted_digest, converted_folder
from core.llm.folder import check_model_folder, folder_digest
from core.llm.quiet import first_line
from core.progress import Progress, Silent
from core.resources.table import TABLE

_HUB_ID = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "merges.txt"]
_TWICE = ["*/*", "consolidated*"]
"""A * stands for folders, too: onnx/ and others hold the weights a second time, as Mistral's consolidated* do."""


def base_digest(spec: str, progress: Progress | None = None) -> str:
    """Return the digest that `load_base` would give, without loading the model.

    A resource is not even fetched for it; a hub id is. Raises: like load_base.
    """
    if spec in TABLE and TABLE[spec].model:
        return converted_digest(spec)
    return folder_digest(base_folder(spec, progress))


def is_hub_id(spec: str) -> bool:
    """Return whether a base model's name means one on the model hub: owner/name, and no folder here is called so."""
    return bool(_HUB_ID.fullmatch(spec)) and not Path(spec).expanduser().exists()


def base_folder(spec: str, progress: Progress | None = None) -> Path:
    """Return the folder of a language model, fetched or converted if need be.

    Raises: like load_base.
    """
    reporter = progress or Silent()
    if spec in TABLE and TABLE[spec].model:
        return converted_folder(spec, reporter)
    folder = _expanded(spec)
    if is_hub_id(spec):
        folder = _hub_folder(spec, reporter)
    elif not folder.exists() and "/" not in spec:
        models = ", ".join(name for name, entry in TABLE.items() if entry.model)
        raise ModelFolderError(
            f"there is no language model {spec!r}",
            hint=f"Give a model folder, a hub id (owner/name), or one of: {models}.",
        )
    check_model_folder(folder)
    return folder


def _expanded(spec: str) -> Path:
    """Return a path with ~ written out. Raises: ModelFolderError if there is no such home."""
    try:
        return Path(spec).expanduser()
    except RuntimeError as problem:
        raise ModelFolderError(
            f"{spec} is not a folder: {problem}", hint="Give the folder by its full path."
        ) from problem


def _hub_folder(spec: str, progress: Progress) -> Path:
    """Return the local copy of a hub model, downloading it the first time, or what is lacking of it.

    Raises: ResourceFetchError.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # What is here is used as it is: a key must not change because the hub's copy did.
        folder = Path(
            snapshot_download(
                spec, allow_patterns=_HUB_FILES, ignore_patterns=_TWICE, local_files_only=True
            )
        )
        # Other programs fetch single files of a model, and the hub client need not know that there are more.
        check_model_folder(folder)
        return folder
    except (LocalEntryNotFoundError, ModelFolderError):
        progress.say(f"fetching {spec} from the model hub")
    try:  # the hub client has many kinds of error, all of them among these three
        return Path(snapshot_download(spec, allow_patterns=_HUB_FILES, ignore_patterns=_TWICE))
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as problem:
        raise ResourceFetchError(
            f"no folder {spec!r} here, and the model hub does not give it: {first_line(problem)}",
            hint="Check the name and the network, or give a model folder or smollm2-135m-instruct.",
        ) from problem

"""Model folders: what must be in one, and what identifies it."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from core.errors import ModelFolderError
from core.files import file_sha256
from core.resources.cache import cache_root

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_IDENTITY = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that cannot be a language model.

    Raises: ModelFolderError saying what is missing.
    """
    if not folder.is_dir():
        raise ModelFolderError(
            f"{folder} is not a folder",
            hint="Give a folder made by save_pretrained, a hub id, or smollm2-135m-instruct.",
        )
    missing = []
    if not (folder / "config.json").is_file():
        missing.append("config.json")
    if not (weights := _weight_files(folder)):
        missing.append("weights (*.safetensors)")
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        missing.append("a tokenizer (tokenizer.json)")
    if missing:
        hint = "Give a folder made by save_pretrained of a model and of its tokenizer."
        if (folder / "adapter_config.json").is_file():
            hint = "This is a LoRA adapter: give the folder of the model that it adapts."
        elif list(folder.glob("pytorch_model*.bin")) and not weights:
            hint = "Save the model again as safetensors: pickled weights are not read."
        raise ModelFolderError(f"{folder} is no model: it lacks {', '.join(missing)}", hint=hint)
    _check_shards(folder)


def _weight_files(folder: Path) -> list[str]:
    """Return the names of the files of weights that transformers reads: of Mistral's consolidated* it knows nothing."""
    names = [path.name for path in folder.glob("*.safetensors")]
    return [name for name in names if not name.startswith("consolidated")]


def _check_shards(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    try:
        wanted = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as problem:
        raise ModelFolderError(
            f"{index} cannot be read: {problem}", hint="Copy or save the model again."
        ) from problem
    lacking = [name for name in wanted if not (folder / name).is_file()]
    if lacking:
        raise ModelFolderError(
            f"{folder} lacks {len(lacking)} of {len(wanted)} weight files, {lacking[0]} first",
            hint="Copy or download the rest of the model.",
        )


def folder_digest(folder: Path) -> str:
    """Return the sha256 over the weights, configuration and tokenizer of a model folder.

    Reading gigabytes takes a while, so each file's sha256 is remembered in the cache together with
    its size and time of change; the folder itself is not written to.
    """
    names = _weight_files(folder)
    names += [name for name in _IDENTITY if (folder / name).is_file()]
    memory = cache_root() / "digests" / f"{_text_sha256(str(folder.resolve()))}.json"
    known = _read_memory(memory)
    seen: dict[str, list[int | str]] = {}
    for name in sorted(names):
        state = (folder / name).stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ino]
        entry = known.get(name)
        if not (isinstance(entry, list) and entry[:3] == stamp):
            entry = [*stamp, file_sha256(folder / name)]
        seen[name] = entry
    if seen != known:
        _write_memory(memory, seen)
    return _text_sha256("\n".join(f"{name} {entry[3]}" for name, entry in seen.items()))


def _text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_memory(path: Path) -> dict[str, list[int | str]]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # never written, or by a process that was killed: digests are computed again
    return found if isinstance(found, dict) else {}


def _write_memory(path: Path, seen: dict[str, list[int | str]]) -> None:
    """Remember digests; where there is no room or no right to, the next command computes them again."""
    scratch = path.with_suffix(f".{os.urandom(4).hex()}.new")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            scratch.write_text(json.dumps(seen))
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)

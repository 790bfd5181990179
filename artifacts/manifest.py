"""What is known of an artifact: its manifest, and a handle on its immutable folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from artifacts.errors import CorruptArtifact
from artifacts.keys import canonical
from artifacts.layout import Layout

MANIFEST_NAME = "manifest.json"
_INPUTS = '","inputs":{'
"""How the inputs begin in canonical JSON, whose keys are sorted: after the time of finishing, a string. A file of this
name would come after a brace.
"""
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How an artifact came to be and what it holds; the content of manifest.json."""

    kind: str
    schema_version: int
    key: str
    parameters: dict[str, Any]
    inputs: dict[str, list[str]]
    """Input name -> object ids."""
    resources: dict[str, str]
    """What lies outside the store -> digest."""
    program_version: str
    started: str
    """ISO 8601, UTC. A label: nothing is ordered by it."""
    finished: str
    summary: dict[str, Any]
    """Facts of the run: seeds, device, number format, figures."""
    files: dict[str, dict[str, Any]]
    """Path inside the folder -> bytes, sha256 and, for tables, rows."""

    def to_json(self) -> str:
        """One line of JSON with sorted keys."""
        return canonical(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read what to_json wrote; fields of later versions are left out. Raises: ValueError,
        KeyError, TypeError.
        """
        values = json.loads(text)
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    def objects_used(self) -> list[str]:
        """Object ids of all inputs."""
        return [object_id for ids in self.inputs.values() for object_id in ids]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One version of a name: a handle on an immutable folder."""

    kind: str
    name: str
    version: int
    object_id: str
    created: str
    """When this version got its name: ISO 8601, UTC; grows with every commit of the store."""
    committed_ns: int = field(repr=False, compare=False)
    """When its commit was written, as the file system says: no other commit of this number has the
    same.
    """
    layout: Layout = field(repr=False, compare=False)
    manifest_json: str = field(repr=False, compare=False)

    @cached_property
    def folder(self) -> Path:
        """Where its files are; made when first asked for, as the manifest is."""
        return self.layout.object_folder(self.kind, self.object_id)

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, read when first asked for: a listing of thousands does not need them all."""
        return Manifest.from_json(self.manifest_json)

    def objects_used(self) -> list[str]:
        """Object ids of all inputs; of thousands of artifacts only this part of the manifest is read."""
        start = self.manifest_json.index(_INPUTS) + len(_INPUTS) - 1
        inputs, _ = _DECODER.raw_decode(self.manifest_json, start)
        return [object_id for ids in inputs.values() for object_id in ids]

    @property
    def key(self) -> str:
        """Digest of the work that made it."""
        return self.object_id.partition(".")[0]

    @property
    def reference(self) -> str:
        """kind/name@version."""
        return f"{self.kind}/{self.name}@{self.version}"

    @property
    def summary(self) -> Mapping[str, Any]:
        """Facts of the run that made it."""
        return self.manifest.summary

    def has(self, path: str) -> bool:
        """Whether a payload file or folder was published: not all need be."""
        recorded = self.manifest.files
        return path in recorded or any(file.startswith(f"{path}/") for file in recorded)

    def file(self, path: str) -> Path:
        """Return the path of a payload file or folder. Raises: CorruptArtifact if it is missing or
        of the wrong size.

        Sizes are looked at, contents are not: that is for `verify`.
        """
        found = self.folder / path
        entry = self.manifest.files.get(path)
        if entry is not None:
            intact = found.is_file() and found.stat().st_size == entry["bytes"]
        else:
            intact = found.is_dir() and self.has(path)
        if not intact:
            state = "is damaged" if found.exists() else "is missing"
            raise CorruptArtifact.of(
                self.reference,
                f"{self.reference}: {path} {state} ({found})",
            )
        return found

    def check_files(self) -> None:
        """Look at the size of every payload file. Raises: CorruptArtifact; see file()."""
        for path in self.manifest.files:
            self.file(path)


@dataclass(kw_only=True)
class Draft:
    """An artifact in the making: write the payload files into `folder`."""

    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    """JSON values that go into the manifest: seeds, device, figures."""
    artifact: Artifact | None = None
    """What was published; set when the block of `publish` has ended."""

"""Does a folder hold what its kind declares? Looked at before an artifact is published, never
after.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.errors import SchemaViolation
from artifacts.kinds import Kind, Payload
from artifacts.manifest import MANIFEST_NAME
from artifacts.sql import parquet_scan, path_literal

if TYPE_CHECKING:
    import duckdb

_CODE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt")
_MORE_FOLDERS = "Write only what the kind declares, or declare it."


def check_payload(folder: Path, kind: Kind) -> dict[str, dict[str, Any]]:
    """Check the payload files of a draft against the declaration of their kind.

    Returns: path -> what is known of the file besides bytes and digest: {"rows": n} for tables.
    Raises: SchemaViolation.
    """
    present = _walk(folder, kind)
    facts: dict[str, dict[str, Any]] = {path: {} for path in present}
    for payload in kind.payloads:
        below = [p for p in present if p == payload.path or p.startswith(f"{payload.path}/")]
        if payload.format == "folder":
            below = [p for p in below if p != payload.path]
        elif payload.path in below:
            below = [payload.path]
        if not below:
            if payload.required:
                raise SchemaViolation(
                    f"an artifact of kind {kind.name} needs {payload.path}, which was not written",
                    hint="Write that file, or declare it as not required.",
                )
            continue
        for path in below:
            facts[path] = _check_file(folder / path, path, payload)
    return facts


def _walk(folder: Path, kind: Kind) -> list[str]:
    """List the files of a draft, sorted; refuse links, special files and what is not declared."""
    found = []
    for base, folders, names in os.walk(folder):
        for name in folders + names:
            entry = Path(base, name)
            path = entry.relative_to(folder).as_posix()
            if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                raise SchemaViolation(
                    f"{kind.name}: {path} is not a plain file", hint="Copy the content instead."
                )
            if entry.is_file():
                if path == MANIFEST_NAME or not any(_covers(p, path) for p in kind.payloads):
                    raise SchemaViolation(
                        f"{kind.name}: {path} is not declared as a payload", hint=_MORE_FOLDERS
                    )
                found.append(path)
            elif not any(_covers(p, path) or p.path.startswith(f"{path}/") for p in kind.payloads):
                raise SchemaViolation(
                    f"{kind.name}: folder {path} is not declared as a payload", hint=_MORE_FOLDERS
                )
    return sorted(found)


def _covers(payload: Payload, path: str) -> bool:
    if payload.format == "folder":
        return path == payload.path or path.startswith(f"{payload.path}/")
    return path == payload.path


def _check_file(file: Path, path: str, payload: Payload) -> dict[str, Any]:
    _refuse_code(file, path)
    if payload.format == "parquet":
        return {"rows": _check_parquet(file, path, payload)}
    if payload.format == "safetensors" or path.endswith(".safetensors"):
        _check_safetensors(file, path)
    elif payload.format == "json" or path.endswith(".json"):
        _check_json(file, path)
    elif payload.format == "text":
        _check_text(file, path)
    return {}


def _refuse_code(file: Path, path: str) -> None:
    """Refuse files that run code when they are read: the store holds data only."""
    with file.open("rb") as stream:
        head = stream.read(2)
    pickled = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if path.endswith(_CODE_SUFFIXES) or (pickled and not path.endswith(".safetensors")):
        raise SchemaViolation(
            f"{path} is a pickle, which can run code when it is read",
            hint="Write tensors as safetensors, tables as Parquet, the rest as JSON.",
        )


@cache
def _reader() -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB for reading Parquet files: to start one costs more than to ask it."""
    import duckdb

    return duckdb.connect(config={"threads": 1})


def _check_parquet(file: Path, path: str, payload: Payload) -> int:
    import duckdb

    describe = f"describe select * from {parquet_scan(file)}"
    count = f"select num_rows from parquet_file_metadata({path_literal(file)})"
    with _reader().cursor() as cursor:
        try:
            described = cursor.execute(describe).fetchall()
            rows = cursor.execute(count).fetchone()
        except duckdb.Error as problem:
            raise SchemaViolation(
                f"{path} cannot be read as Parquet: {str(problem).splitlines()[0]}",
                hint="Write it with the types that the kind declares.",
            ) from problem
    found = {name: str(kind).upper() for name, kind, *_ in described}
    wanted = {name: kind.upper() for name, kind in payload.columns.items()}
    if payload.columns and found != wanted:
        raise SchemaViolation(f"{path}: {_difference(found, wanted)}", hint=_MORE_FOLDERS)
    return int(rows[0]) if rows else 0


def _difference(found: dict[str, str], wanted: dict[str, str]) -> str:
    lines = [f"column {name} is missing" for name in wanted if name not in found]
    lines += [f"column {name} is not declared" for name in found if name not in wanted]
    lines += [
        f"column {name} is {found[name]}, declared {wanted[name]}"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]
    return "; ".join(lines)


def _check_safetensors(file: Path, path: str) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            tensors.keys()
    except SafetensorError as problem:
        raise SchemaViolation(
            f"{path} cannot be read as safetensors: {problem}",
            hint="Write it with the safetensors library.",
        ) from problem


def _check_json(file: Path, path: str) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        json.loads(file.read_bytes(), parse_constant=refuse)
    except ValueError as problem:
        raise SchemaViolation(
            f"{path} cannot be read as JSON: {problem}",
            hint="Write it with json.dumps(..., allow_nan=False).",
        ) from problem


def _check_text(file: Path, path: str) -> None:
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise SchemaViolation(
            f"{path} is not UTF-8 text: {problem}", hint="Write it as UTF-8."
        ) from problem

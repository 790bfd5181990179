"""JSON as text: arrays of objects, objects on lines, and what is wrong with one."""

import json
from collections import Counter
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO, Any

from core.data.readers.streams import open_text
from core.errors import BadValueError

NO_OBJECT = "not an object with named values"


def array(path: Path) -> list[dict[str, object]]:
    """Return the objects of a JSON array. Raises: BadValueError if it is cut short or holds anything else."""
    with _open(path) as stream:
        try:
            records = _parsed(stream.read())
        except json.JSONDecodeError as problem:
            raise BadValueError(
                f"{path}: line {problem.lineno}: broken JSON ({problem.msg})",
                hint="Correct the file, or fetch it again if it was cut short.",
            ) from None
    for row, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise BadValueError(
                f"{path}: row {row}: {NO_OBJECT}",
                hint="Give an array of objects, one for each row.",
            )
    return list(records)


def _parsed(text: str, **how: Any) -> Any:
    """Read JSON. Raises: JSONDecodeError, also for what Python has no room for."""
    try:
        return json.loads(text, **how)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as problem:
        what = "nested too deep" if isinstance(problem, RecursionError) else "a number too long"
        raise json.JSONDecodeError(what, text, 0) from problem


def first_objects(path: Path) -> list[dict[str, object]]:
    """Return the first objects of JSON lines. Raises: BadValueError if there are only lines that are no objects."""
    records: list[dict[str, object]] = []
    broken: BadValueError | None = None
    with _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            # Reading the file later stops at a broken line or leaves it out, as the user wants it.
            try:
                record = _parsed(line)
            except json.JSONDecodeError as problem:
                broken = broken or broken_json(path, number, problem.msg)
                continue
            if isinstance(record, dict):
                records.append(record)
            else:
                broken = broken or broken_json(path, number, NO_OBJECT)
            if len(records) == 100:
                break
    if broken and not records:
        raise broken
    return records


def broken_json(path: Path, line: int, what: str) -> BadValueError:
    """Build the error for a line that is not a JSON object."""
    return BadValueError(
        f"{path}: line {line}: broken JSON ({what})",
        hint="Correct the line, one object is wanted on each; ingest leaves such rows out with --bad-rows reject.",
    )


def occurring(path: Path, wanted: set[str], *, by_line: bool) -> set[str]:
    """Return those of the names that an object of a file has. Raises: BadValueError, EncodingError."""
    if not by_line:
        return wanted & {name for record in array(path) for name in record}
    # Only lines that hold a name in quotes are parsed: the others of millions are passed over.
    spelled = {json.dumps(name, ensure_ascii=way) for name in wanted for way in (True, False)}
    found: set[str] = set()
    with _open(path) as stream:
        for line in stream:
            if any(name in line for name in spelled):
                with suppress(json.JSONDecodeError):
                    record = _parsed(line)
                    found |= wanted & record.keys() if isinstance(record, dict) else set()
                if found == wanted:
                    break
    return found


def wrong_with(line: str) -> str:
    """Say why a line is no object that DuckDB reads, or nothing: it is stricter than Python."""
    try:
        record = _parsed(line)
        if not isinstance(record, dict):
            return NO_OBJECT
        json.dumps(record, ensure_ascii=False).encode()
        names = Counter(name for name, _ in _parsed(line, object_pairs_hook=list))
    except json.JSONDecodeError as problem:
        return problem.msg
    except UnicodeEncodeError:
        return "half of a surrogate pair"
    return next((f"'{name}' occurs twice" for name, times in names.items() if times > 1), "")


def _open(path: Path) -> AbstractContextManager[IO[str]]:
    return open_text(path, "utf-8", is_json=True)

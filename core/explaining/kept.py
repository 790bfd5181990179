"""Explanations on disk while there are more to come, so that a killed run loses one batch."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Kept:
    """Explanations by their place among the questions, one JSON line each."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; a line that a kill tore is left out and written anew."""
        self._path = path
        self.found: dict[int, dict[str, Any]] = {}
        whole = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            if not line.endswith(b"\n"):
                break
            entry = json.loads(line)
            self.found[entry["place"]] = entry["facts"]
            whole += len(line)
        if path.exists():
            os.truncate(path, whole)

    def add(self, place: int, facts: dict[str, Any]) -> None:
        """Keep one more. Raises: OSError."""
        line = json.dumps({"place": place, "facts": facts}, ensure_ascii=False) + "\n"
        with self._path.open("ab") as file:
            file.write(line.encode("utf-8", "surrogatepass"))
            file.flush()
            os.fsync(file.fileno())
        self.found[place] = facts

    def in_order(self) -> Sequence[dict[str, Any]]:
        """Return all explanations in the order of the questions."""
        return [self.found[place] for place in sorted(self.found)]

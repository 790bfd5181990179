"""Keys, digests of everything that a result depends on; and the names artifacts may have."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from artifacts.errors import StoreError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NO_REFERENCE = "none"
"""What stands in place of a reference where an input is left out: an artifact that is called so could not be meant."""


def canonical(value: Any) -> str:
    """Write a JSON value in the one way that equal values share: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def work_key(
    *,
    kind: str,
    schema_version: int,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Sequence[str]],
    resources: Mapping[str, str],
) -> str:
    """Return the sha256 (hex) over kind, schema version, parameters, input objects and resource
    digests.

    Args:
        parameters: JSON values by name; 1 and 1.0 are different values.
        inputs: input name -> object ids, in the order that the work reads them.
        resources: name -> digest of what lies outside the store.
    """
    recipe = {
        "kind": kind,
        "schema_version": schema_version,
        "parameters": dict(parameters),
        "inputs": {name: list(ids) for name, ids in inputs.items()},
        "resources": dict(resources),
    }
    return hashlib.sha256(canonical(recipe).encode()).hexdigest()


def check_name(name: str) -> str:
    """Return a name that is fit for a reference and a path. Raises: StoreError for any other."""
    if name == _NO_REFERENCE:
        raise StoreError(
            f"{name!r} is not a name for an artifact: in place of a reference it leaves an input out",
            hint="Give another name.",
        )
    if _NAME.fullmatch(name):
        return name
    raise StoreError(
        f"{name!r} is not a name for an artifact",
        hint="Use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit.",
    )

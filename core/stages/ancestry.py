"""What an artifact was made from, and how: data set, ancestors of a kind, histories; whether two belong together."""

from collections.abc import Callable

from artifacts.errors import ArtifactNotFound
from artifacts.store import Artifact, Store
from core.errors import MismatchError


def dataset_of(store: Store, artifact: Artifact) -> Artifact | None:
    """Return the data set an artifact was made from (itself, its direct input, or the nearest ancestor)."""
    if artifact.kind == "dataset":
        return artifact
    return ancestor(store, artifact, "dataset")


def is_made_from(store: Store, artifact: Artifact, dataset: Artifact) -> bool:
    """Return whether a data set is the one that an artifact was made from, or the artifact itself."""
    home = dataset_of(store, artifact)
    return home is not None and home.object_id == dataset.object_id


def is_frozen(scores: Artifact) -> bool:
    """Return whether rows were asked with the history before their user's first row of the split."""
    return bool(scores.manifest.parameters.get("frozen_history"))


def ancestor(
    store: Store,
    artifact: Artifact,
    kind: str,
    fits: Callable[[Artifact], bool] = lambda artifact: True,
) -> Artifact | None:
    """Return the nearest ancestor of a kind that fits, breadth first, or None.

    Raises: ArtifactNotFound if there is none among those that are left, and others are missing.
    """
    queue = artifact.objects_used()
    seen: set[str] = set()
    missing: ArtifactNotFound | None = None
    while queue:
        object_id = queue.pop(0)
        if object_id in seen:
            continue
        seen.add(object_id)
        try:
            parent = store.by_object(object_id)
        except ArtifactNotFound as problem:
            missing = missing or problem
            continue
        if parent.kind == kind and fits(parent):
            return parent
        queue += parent.objects_used()
    if missing:
        raise ArtifactNotFound(
            f"{artifact.reference} cannot be traced to its {kind}: {missing}",
            hint=f"Name another artifact than {artifact.reference}. What lacks an input: thinkrec verify",
        ) from missing
    return None


def require_same_dataset(store: Store, *artifacts: Artifact | None) -> None:
    """Raises: MismatchError if two of the artifacts come from different data sets."""
    found = {}
    for artifact in artifacts:
        if artifact is not None and (dataset := dataset_of(store, artifact)):
            found[dataset.object_id] = (artifact.reference, dataset.reference)
    if len(found) > 1:
        listing = ", ".join(f"{a} from {d}" for a, d in found.values())
        raise MismatchError(
            f"inputs come from different data sets: {listing}",
            hint="Name inputs that come from one data set, or remake the odd one.",
        )


def require_descent(
    store: Store,
    child: Artifact,
    parent: Artifact,
    fits: Callable[[Artifact], bool] = lambda artifact: True,
) -> None:
    """Raises: MismatchError unless the nearest ancestor of the parent's kind, that fits, is the parent."""
    found = ancestor(store, child, parent.kind, fits)
    if found is None or found.object_id != parent.object_id:
        of = found.reference if found else f"no {parent.kind}"
        raise MismatchError(
            f"{child.reference} was made from {of}, and {parent.reference} does not go with it",
            hint=f"Leave {parent.reference} out: the {parent.kind} it was made from is found by itself.",
        )

"""What a person may write to name an artifact, and finding it.

`kind/name@version`, `kind/name` (the latest version), an object id, or the beginning of a key (6
characters or more).
Where the kind is known from the place (an option of a command), `name` and `name@version` will do.
"""

import difflib
import re
from collections.abc import Collection

from artifacts.errors import AmbiguousReference, ArtifactNotFound, CorruptArtifact, StoreError
from artifacts.index import Damaged, Index
from artifacts.manifest import Artifact

MIN_PREFIX = 6
_FULL = re.compile(r"(?:(?P<kind>[^/@]+)/)?(?P<name>[^/@]+)(?:@(?P<version>[0-9]{1,18}))?")
_KEY = re.compile(r"[0-9a-f]{6,64}(?:\.[0-9a-f]*)?")
_LISTED = 5


def resolve(index: Index, reference: str, kinds: Collection[str]) -> Artifact:
    """Return the artifact that a reference names.

    Args:
        reference: see the top of this file.
        kinds: kinds that will do; none means any.
    Raises: ArtifactNotFound, AmbiguousReference, CorruptArtifact for a version that cannot be read, StoreError if it is
        no reference at all.
    """
    match = _FULL.fullmatch(reference)
    if match is None:
        raise StoreError(
            f"{reference!r} is not a reference to an artifact",
            hint="Write kind/name, kind/name@version or the beginning of a key. List what there is: thinkrec list",
        )
    version = int(match["version"]) if match["version"] else None
    if match["kind"]:
        found = _by_name(index, match["kind"], match["name"], version)
    else:
        named = [k for k in kinds if (k, match["name"]) in index.latest]
        if len(named) > 1:
            raise _ambiguous(reference, [index.latest[k, match["name"]] for k in named])
        if named:
            found = _by_name(index, named[0], match["name"], version)
        else:
            # Of a kind that will not do, which is told below.
            other = _of_another_kind(index, match["name"]) if kinds else None
            found = other or _by_key(index, reference)
    if kinds and found.kind not in kinds:
        raise ArtifactNotFound(
            f"{found.reference} is of kind {found.kind}, and {' or '.join(kinds)} is wanted",
            hint="List what would do: "
            + " or ".join(f"thinkrec list --kind {kind}" for kind in kinds),
        )
    return found


def by_object(index: Index, object_id: str) -> Artifact:
    """Return the artifact of an object id, under its newest name. Raises: ArtifactNotFound."""
    if found := index.by_object.get(object_id):
        return found[-1]
    raise ArtifactNotFound(
        f"there is no artifact with the object id {object_id}",
        hint="It may have been removed. List what there is: thinkrec list",
    )


def _by_name(index: Index, kind: str, name: str, version: int | None) -> Artifact:
    latest = index.latest.get((kind, name))
    damaged = {number: d for d in index.damaged if (number := _version_of(d, kind, name))}
    # Without a version the newest is meant, and an older one is not taken for it.
    wanted = version or max(damaged, default=0)
    if wanted in damaged and (version or latest is None or wanted > latest.version):
        lost = damaged[wanted]
        older = f" The one before is {latest.reference}." if not version and latest else ""
        raise CorruptArtifact(
            f"{lost.reference} {lost.problem}",
            hint=f"Make it again, then thinkrec remove takes this version away.{older}",
        )
    if latest is None:
        raise ArtifactNotFound(
            f"there is no artifact {kind}/{name}", hint=_nearest(index, kind, name)
        )
    if version is None:
        return latest
    found = index.by_reference.get(f"{kind}/{name}@{version}")
    if found is None:
        raise ArtifactNotFound(
            f"{kind}/{name} has no version {version}",
            hint=f"The latest is {latest.reference}.",
        )
    return found


def _version_of(damaged: Damaged, kind: str, name: str) -> int | None:
    """Return the version of a name that is damaged, None if it is one of another name."""
    of, _, version = damaged.reference.rpartition("@")
    return int(version) if of == f"{kind}/{name}" else None


def _of_another_kind(index: Index, name: str) -> Artifact | None:
    """Return the latest artifact that a name, which no key begins with, stands for in any kind."""
    if _KEY.fullmatch(name):
        return None
    return next((a for (_, known), a in index.latest.items() if known == name), None)


def _by_key(index: Index, prefix: str) -> Artifact:
    if not _KEY.fullmatch(prefix):
        raise ArtifactNotFound(
            f"there is no artifact {prefix}",
            hint=_nearest(index, "", prefix.partition("@")[0])
            if len(prefix) >= MIN_PREFIX or not re.fullmatch("[0-9a-f]+", prefix)
            else f"The beginning of a key needs at least {MIN_PREFIX} characters.",
        )
    objects = [object_id for object_id in index.by_object if object_id.startswith(prefix)]
    if not objects:
        raise ArtifactNotFound(
            f"there is no artifact {prefix}, and none whose key begins so",
            hint=_nearest(index, "", prefix),
        )
    newest = [index.by_object[object_id][-1] for object_id in objects]
    if len({artifact.key for artifact in newest}) > 1:
        raise _ambiguous(prefix, newest)
    return max(newest, key=lambda artifact: artifact.created)


def _ambiguous(reference: str, found: list[Artifact]) -> AmbiguousReference:
    listing = ", ".join(artifact.reference for artifact in found[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return AmbiguousReference(
        f"{reference} could be {len(found)} artifacts: {listing}{more}",
        hint="Write more of the key, or kind/name@version.",
    )


def _nearest(index: Index, kind: str, name: str) -> str:
    known = {f"{k}/{n}": None for k, n in index.latest}
    wanted = f"{kind}/{name}" if kind else name
    near = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.5)
    if not kind and not near:
        near = [full for full in known if full.endswith(f"/{name}")][:1]
    return f"Did you mean {near[0]}?" if near else "List what there is: thinkrec list"

"""Scorers that differ in their seeds alone, found by what they were made from, and how far their figures differ."""

import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from artifacts.errors import ArtifactNotFound
from artifacts.keys import work_key
from artifacts.store import Artifact, Store

_OF_ONE_SCORER = " by "
"""In the name of a slice: by the groups or the gate of one scorer, which those of other seeds do not share."""


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """Scorers, two or more, that were made alike but for their seeds."""

    called: str
    """What their names share."""
    scorers: tuple[str, ...]
    seeds: tuple[frozenset[int], ...]
    """Of each scorer: those of its seeds, and of what it was made from, that others of the group have not."""


def replicas(store: Store, scores: Mapping[str, Artifact]) -> list[Replicas]:
    """Group scorers whose scores were made with the same settings from the same data, but for seeds.

    Of scorers with the very same seeds, made again, the last counts.

    Args:
        scores: what a scorer is called in the evaluation -> its scores.
    """
    groups: dict[str, dict[tuple[int, ...], str]] = {}
    for name, artifact in scores.items():
        alike, seeds = _alike(store, artifact)
        groups.setdefault(alike, {})[seeds] = name
    several = [found for found in groups.values() if len(found) > 1]
    called = [_shared_name(list(found.values())) for found in several]
    return [
        Replicas(
            called=name if called.count(name) == 1 else next(iter(found.values())),
            scorers=tuple(found.values()),
            seeds=tuple(_own(list(found))),
        )
        for name, found in zip(called, several, strict=True)
    ]


def over_seeds(
    groups: Sequence[Replicas], lines: Sequence[Mapping[str, Any]], against: str | None
) -> Iterator[dict[str, Any]]:
    """Yield a row of the table over_seeds for every figure that all scorers of a group have.

    Slices by the groups or routes of one scorer are left out: for scorers of other seeds they are other people's.

    Args:
        groups: as replicas returns them.
        lines: rows of metrics.parquet.
        against: scorer that the others are compared with. If it is one of a group, each scorer is compared with that of
            its own seed.
    """
    places = ("split", "slice", "metric")
    figures: dict[tuple[str, ...], dict[str, float | None]] = {}
    for line in lines:
        if _OF_ONE_SCORER not in line["slice"]:
            place = tuple(line[column] for column in places)
            figures.setdefault(place, {})[line["scorer"]] = line["value"]
    for group in groups:
        other, partners = _partners(group, groups, against)
        for place, value_of in figures.items():
            values = _known(value_of, group.scorers)
            if values is None:
                continue
            base = _known(value_of, partners)
            gaps = [v - b for v, b in zip(values, base, strict=True)] if base else []
            yield {
                "scorer": group.called,
                "scorers": list(group.scorers),
                **dict(zip(places, place, strict=True)),
                "mean": statistics.fmean(values),
                "sd": statistics.stdev(values),
                "least": min(values),
                "most": max(values),
                "other": other if gaps else None,
                "difference": statistics.fmean(gaps) if gaps else None,
                "difference_sd": statistics.stdev(gaps) if gaps else None,
            }


def _partners(
    group: Replicas, groups: Sequence[Replicas], against: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """Return what a group is compared with, and with which each of its scorers; nothing where seeds do not match."""
    if against is None or against in group.scorers:
        return None, ()
    home = next((one for one in groups if against in one.scorers), None)
    if home is None:
        return against, (against,) * len(group.scorers)
    by_seeds = dict(zip(home.seeds, home.scorers, strict=True))
    if len(by_seeds) != len(home.scorers) or set(group.seeds) != set(by_seeds):
        return None, ()
    return home.called, tuple(by_seeds[seeds] for seeds in group.seeds)


def _known(value_of: Mapping[str, float | None], scorers: Sequence[str]) -> list[float] | None:
    """Return the values of scorers, None unless all have one."""
    values = [v for scorer in scorers if (v := value_of.get(scorer)) is not None]
    return values if scorers and len(values) == len(scorers) else None


def _own(seeds: Sequence[tuple[int, ...]]) -> Iterator[frozenset[int]]:
    """Yield for each scorer its seeds in the places where not all scorers have the same."""
    varying = [place for place, found in enumerate(zip(*seeds, strict=True)) if len({*found}) > 1]
    for found in seeds:
        yield frozenset(found[place] for place in varying)


def _shared_name(names: Sequence[str]) -> str:
    """Return what scorers are called without their versions, or how their names begin."""
    bare = [name.partition("@")[0] for name in names]
    begin = os.path.commonprefix(bare)  # noqa: RUF071 - texts, not paths
    whole = begin if len(set(bare)) == 1 else begin.rstrip("-._")
    return whole if whole.partition("/")[2] else bare[0]


def _alike(store: Store, artifact: Artifact) -> tuple[str, tuple[int, ...]]:
    """Return what equals another artifact's where only seeds differ, and the seeds.

    They are its own, and then those of what it was made from, in an order that artifacts with an equal key share.
    """
    manifest = artifact.manifest
    seed = manifest.parameters.get("seed")
    seeds = [seed] if isinstance(seed, int) else []
    inputs: dict[str, list[str]] = {}
    for name, ids in sorted(manifest.inputs.items()):
        for object_id in ids:
            key, found = _alike_object(store, object_id)
            inputs.setdefault(name, []).append(key)
            seeds += found
    key = work_key(
        kind=artifact.kind,
        schema_version=manifest.schema_version,
        parameters={k: v for k, v in manifest.parameters.items() if k != "seed"},
        inputs=inputs,
        resources=manifest.resources,
    )
    return key, tuple(seeds)


def _alike_object(store: Store, object_id: str) -> tuple[str, tuple[int, ...]]:
    try:
        return _alike(store, store.by_object(object_id))
    except ArtifactNotFound:
        return object_id, ()  # nothing is known of it but that it is itself

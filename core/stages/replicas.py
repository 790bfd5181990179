"""Scorers that differ in their seeds alone, found by what they were made from, and how far their figures differ."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from artifacts.errors import ArtifactNotFound
from artifacts.keys import work_key
from artifacts.store import Artifact, Store


def replicas(store: Store, scores: Mapping[str, Artifact]) -> dict[str, list[str]]:
    """Group scorers whose scores were made with the same settings from the same data, but for seeds.

    Args:
        scores: what a scorer is called in the evaluation -> its scores.
    Returns: what the scorers of a group are called without their versions (with the first one's version where two
        groups would be called the same) -> the scorers, two or more.
    """
    groups: dict[str, list[str]] = {}
    for name, artifact in scores.items():
        groups.setdefault(_key_but_for_seeds(store, artifact), []).append(name)
    several = [names for names in groups.values() if len(names) > 1]
    called = [names[0].partition("@")[0] for names in several]
    return {
        label if called.count(label) == 1 else names[0]: names
        for label, names in zip(called, several, strict=True)
    }


def over_seeds(
    groups: Mapping[str, Sequence[str]], lines: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield a row of the table over_seeds for every figure that all scorers of a group have.

    Args:
        groups: as replicas returns them.
        lines: rows of metrics.parquet.
    """
    places = ("split", "slice", "metric")
    figures: dict[tuple[str, ...], dict[str, float | None]] = {}
    for line in lines:
        place = tuple(line[column] for column in places)
        figures.setdefault(place, {})[line["scorer"]] = line["value"]
    for label, scorers in groups.items():
        for place, value_of in figures.items():
            values = [v for scorer in scorers if (v := value_of.get(scorer)) is not None]
            if len(values) == len(scorers):
                yield {
                    "scorer": label,
                    "scorers": list(scorers),
                    **dict(zip(places, place, strict=True)),
                    "mean": statistics.fmean(values),
                    "sd": statistics.stdev(values),
                    "least": min(values),
                    "most": max(values),
                }


def _key_but_for_seeds(store: Store, artifact: Artifact) -> str:
    """Return what equals another artifact's where only seeds differ, its own and those of what it was made from."""
    manifest = artifact.manifest
    return work_key(
        kind=artifact.kind,
        schema_version=manifest.schema_version,
        parameters={k: v for k, v in manifest.parameters.items() if k != "seed"},
        inputs={
            name: [_input_key(store, one) for one in ids] for name, ids in manifest.inputs.items()
        },
        resources=manifest.resources,
    )


def _input_key(store: Store, object_id: str) -> str:
    try:
        return _key_but_for_seeds(store, store.by_object(object_id))
    except ArtifactNotFound:
        return object_id  # nothing is known of it but that it is itself

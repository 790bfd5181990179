"""What stands behind an artifact: all it was made from, each with the command that makes it again."""

import dataclasses
import shlex
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from artifacts.store import Artifact, Store
from core.config.base import Config
from core.config.ingest import implied_rules
from core.stages.base import Stage
from core.stages.commands import stage_of

if TYPE_CHECKING:
    from core.evaluation.report.material import Origin

_ARGUMENTS = ("source",)
"""Settings that are written as arguments, without their name."""
_NAMED_FILES = {
    "pairs": "FILE",
    "users": "FILE",
    "given": "FILE",
    "history": "FILE",
    "bleurt": "FOLDER",
}
"""What users name beside settings, and the word that stands in its place."""


def lineage(store: Store, artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Return artifacts with all they were made from: each after its inputs, else in the order of the pipeline."""
    found: dict[str, Artifact] = {}
    queue = list(artifacts)
    while queue:
        one = queue.pop(0)
        if one.object_id not in found:
            found[one.object_id] = one
            inputs = one.manifest.inputs.values()
            queue += [store.by_object(i, child=one) for ids in inputs for i in ids]
    kinds = store.kinds.names()
    waiting = sorted(found.values(), key=lambda a: (kinds.index(a.kind), a.name, a.version))
    order: dict[str, Artifact] = {}
    while waiting:
        # The kinds alone do not settle it: experts may go on from experts, counts be told to a teacher.
        one = next(a for a in waiting if order.keys() >= set(a.objects_used()))
        waiting.remove(one)
        order[one.object_id] = one
    return list(order.values())


def origin(store: Store, artifact: Artifact) -> "Origin":
    """Return where an artifact comes from, as a report shows it."""
    from core.evaluation.report.material import Origin

    manifest = artifact.manifest
    inputs = {
        name: [store.by_object(i, child=artifact).reference for i in ids]
        for name, ids in manifest.inputs.items()
    }
    seed = manifest.parameters.get("seed")
    summary = manifest.summary
    machine = summary.get("machine") or summary.get("device") or ""
    dtype = f", {summary['dtype']}" if summary.get("dtype") else ""
    return Origin(
        reference=artifact.reference,
        key=artifact.key,
        command=command_line(artifact.kind, manifest.parameters, inputs, manifest.resources),
        inputs=tuple(reference for references in inputs.values() for reference in references),
        seed=seed if isinstance(seed, int) else None,
        machine=f"{machine}{dtype}" if machine else "",
        program_version=manifest.program_version,
        finished=manifest.finished,
    )


def command_line(
    kind: str,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Sequence[str]],
    resources: Iterable[str] = (),
) -> str:
    """Return the command of an artifact: its inputs, and the settings that are not the default.

    Args:
        kind: of the artifact.
        parameters: its keyed settings, as the manifest has them.
        inputs: input name -> references.
        resources: names of what else it was made from; files of the user are not part of the settings, so a word
            stands in their place.
    """
    stage = stage_of(kind)
    if stage is None:
        return ""
    words = ["thinkrec", stage.command]
    implied = implied_rules(parameters) if kind == "dataset" else ()
    flags: list[str] = []
    for field in dataclasses.fields(stage.config):
        value = parameters.get(field.name)
        if field.name in _ARGUMENTS and value is not None:
            words.append(str(value))
        elif field.name in implied:
            continue
        elif field.metadata.get("keyed", True):
            before = field.metadata.get("before")
            flags += _flag(field, parameters.get(field.name, before))
    for name, references in inputs.items():
        files = dict.fromkeys(resources, "FILE")
        given = references or _left_out(stage, name, {**files, **parameters})
        flags += [word for one in given for word in (f"--{name.replace('_', '-')}", one)]
    return shlex.join([*words, *flags, *_files(kind, parameters, resources)])


def _files(kind: str, parameters: Mapping[str, Any], resources: Iterable[str]) -> list[str]:
    if typed := sorted(_NAMED_FILES.keys() & set(resources)):
        return [word for name in typed for word in (f"--{name}", _NAMED_FILES[name])]
    roles = [name.removeprefix("file:") for name in resources if name.startswith("file:")]
    if kind != "dataset" or not roles:
        return []
    if parameters.get("source") != "table":
        return ["--path", "FOLDER"]
    return [word for role in roles for word in (f"--{role}", "FILE")]


def _left_out(stage: Stage[Any], name: str, typed: Mapping[str, Any]) -> tuple[str, ...]:
    """Return "none" for an input that the command, left alone, would take from what the store has.

    Args:
        typed: the settings, and for each file of the user something in its place.
    """
    wanted = stage.inputs.get(name)
    if wanted is None or wanted.required or not (wanted.latest or wanted.through):
        return ()
    unset = dict.fromkeys(field.name for field in dataclasses.fields(stage.config))
    return ("none",) if wanted.wanted(SimpleNamespace(**{**unset, **typed})) else ()


def _flag(field: "dataclasses.Field[Config]", value: Any) -> list[str]:
    """Return an option and its value, nothing for the default or for what cannot be typed."""
    default: Any = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if isinstance(default, tuple):
        # A list of one may be keyed as its entry.
        default = default[0] if len(default) == 1 and not isinstance(value, list) else list(default)
    if value is None or value == default:
        return []
    spelled = (field.metadata.get("flag") or f"--{field.name.replace('_', '-')}").split(",")[0]
    if isinstance(value, bool):
        return [spelled if value else f"--no-{spelled.removeprefix('--')}"]
    values = value if isinstance(value, list) else [value]
    return [word for one in values for word in (spelled, str(one))]

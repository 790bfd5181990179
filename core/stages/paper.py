"""Which rows of the paper's tables stand beside which scorers, and in what ours are more or other than the paper's."""

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from artifacts.store import Artifact, Store
from core.stages.ancestry import ancestor, is_frozen, is_made_from
from core.stages.scorers import column_offsets, fusion_facts

if TYPE_CHECKING:
    from core.evaluation.paper import PaperRow


def papers_rows(
    store: Store,
    dataset: Artifact,
    made_by: Mapping[str, Artifact | None],
    references: Mapping[str, str],
    *,
    splits: Collection[str],
) -> "dict[str, PaperRow]":
    """Return scorer -> what the paper has for it, if the rows are of its test split.

    Args:
        store: where adapters and the like are found.
        dataset: that the rows are of.
        made_by: scorer -> what scored, None where that is no artifact.
        references: scorer -> reference of its scores, whose name may say more.
        splits: that the rows are of.
    """
    from core.evaluation.paper import paper_row

    source = paper_source(dataset)
    if source is None or set(splits) != {"test"}:
        return {}
    found = {}
    for name, artifact in made_by.items():
        # The paper's figures are of models trained on the very data.
        if artifact is None or not is_made_from(store, artifact, dataset):
            continue
        scores = references.get(name, "")
        method = method_of_scorer(store, artifact, scores)
        cautions = _cautions(store, artifact, method) if method else []
        if scores and is_frozen(store.resolve(scores)):
            cautions.append("ours was asked with frozen histories")
        caution = "; ".join(cautions)
        if method and (row := paper_row(method, source, caution=caution)):
            found[name] = row
    return found


def _cautions(store: Store, artifact: Artifact, method: str) -> list[str]:
    """Say in what a scorer is more or other than the method of the paper."""
    from core.evaluation.paper import COLLABORATIVE

    adapter = _adapter_of(store, artifact)
    facts = fusion_facts(artifact) if artifact.kind == "model" else {}
    told = adapter.manifest.parameters if adapter else {}
    cautions = []
    if told.get("style") == "evidence":
        cautions.append("ours is told counts (style evidence)")
    if adapter and adapter.manifest.inputs.get("prior"):
        cautions.append("ours is told a chance by another model (prior)")
    if told.get("prior_offset"):
        cautions.append("ours starts from the chance by counts (prior offset)")
    if told.get("train_rows"):
        cautions.append(f"ours was trained on a sample of {told['train_rows']:,} rows")
    if told.get("only_groups"):
        cautions.append("ours was trained on some groups of users only")
    if facts and column_offsets(facts).any():
        cautions.append("ours has centred experts")
    if facts.get("experts") == 1:
        cautions.append("ours has one expert")
    if method in COLLABORATIVE and not facts.get("projector", {}).get("kept"):
        cautions.append("ours has no projector")
    return cautions


def method_of_scorer(store: Store, artifact: Artifact, scores: str = "") -> str | None:
    """Return the paper's name of what an artifact that scores is, None if the paper does not have it.

    Args:
        store: where its adapter is found.
        artifact: an encoder, adapter, experts or model.
        scores: reference of its scores, whose name may say more.
    """
    from core.evaluation.paper import Scorer, method_of

    adapter = _adapter_of(store, artifact)
    told = adapter.manifest if adapter else None
    experts = fusion_facts(artifact)["experts"] if artifact.kind == "model" else None
    scorer = Scorer(
        kind=artifact.kind,
        names=(artifact.name, scores),
        encoder=artifact.manifest.parameters.get("encoder"),
        adapter=None if adapter is None or adapter is artifact else adapter.name,
        # Without traces there is nothing to learn to say, whatever share of the rows it was to be.
        thinks=told is None
        or bool(told.parameters.get("reason_share", 1) and told.inputs.get("traces")),
        experts=experts,
    )
    return method_of(scorer)


def _adapter_of(store: Store, artifact: Artifact) -> Artifact | None:
    return artifact if artifact.kind == "adapter" else ancestor(store, artifact, "adapter")


def paper_source(dataset: Artifact) -> str | None:
    """Return the source whose preset a data set was made by, if the paper has that data: window and cuts unchanged."""
    from core.config.ingest import PRESETS
    from core.evaluation.paper import DATA_SETS

    parameters = dataset.manifest.parameters
    source = str(parameters.get("source"))
    if source not in DATA_SETS:
        return None
    whole = {"threshold": 3.0, "min_user_rows": 0, "min_item_rows": 0}
    wanted = {**whole, **PRESETS[source]}
    if any(parameters.get(name, value) != value for name, value in wanted.items()):
        return None
    files = json.loads(dataset.file("report.json").read_text(encoding="utf-8")).get("files", [])
    # The preset fits any category of Amazon's; the paper has the books.
    return source if source != "amazon" or any(n.startswith("Books") for n in files) else None

"""Open whatever can score: an encoder, the global adapter, or the fused model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.store import Artifact, Store
from core.errors import MismatchError
from core.progress import Progress
from core.stages.ancestry import ancestor, dataset_of, is_made_from
from core.stages.language import Contract, keywords_of, open_keywords, prior_of, tell_prior

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from core.data.dataset import Dataset
    from core.fusion.adapters import LoraWeights
    from core.fusion.weights import Routing
    from core.llm.inject import Injector
    from core.llm.soft import SoftPrompt
    from core.scoring.blocks import RowOrPairScorer
    from core.scoring.language import LanguageScorer, Scored
    from core.text.examples import Examples
    from core.text.prompts import Trained


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How to open a scorer."""

    store: Store
    dataset: Artifact
    examples: "Examples"
    dtype: str
    device: str
    progress: Progress
    keywords: Artifact | None = None
    """Keywords of the data set, where it is another one than the scorer was trained on."""
    max_tokens: int | None = None
    same_users: bool = False
    """Whether equal ids of another data set are the same users and items."""

    def is_abroad(self, artifact: Artifact) -> bool:
        """Return whether an artifact was made from another data set."""
        home = dataset_of(self.store, artifact)
        return home is not None and home.object_id != self.dataset.object_id

    def is_among_strangers(self, artifact: Artifact) -> bool:
        """Return whether what an artifact knows of users and items does not hold here, whatever their ids."""
        return self.is_abroad(artifact) and not self.same_users


def open_scorer(artifact: Artifact, opening: Opening) -> "RowOrPairScorer":
    """Open an encoder, an adapter or a fused model for a data set."""
    if artifact.kind == "encoder":
        return _EncoderScorer(artifact, opening)
    return open_language_scorer(artifact, opening)


def open_language_scorer(artifact: Artifact, opening: Opening) -> "LanguageScorer":
    """Open an adapter or a fused model: settle the weights, bind prompts and routes."""
    from core.fusion.adapters import LoraWeights
    from core.fusion.mixture import install_mixture, merge_adapter
    from core.llm.decoder import Decoder
    from core.scoring.language import LanguageScorer
    from core.scoring.scorer import Scorer
    from core.text.prompts import PromptBuilder

    adapter = adapter_of(opening.store, artifact)
    contract = Contract.read(adapter.file("contract.json"))
    examples = _examples(artifact, contract, opening)
    base = contract.open_base(opening.dtype, opening.device, opening.progress)
    gates, routing, offsets = None, None, None
    injector, collaborative = _open_injector(artifact, opening, base.device)
    if artifact.kind == "adapter":
        merge_adapter(base.model, LoraWeights.open(adapter.file("best")))
    else:
        facts = fusion_facts(artifact)
        gates = install_mixture(base.model, open_adapters(opening.store, artifact), facts["fusion"])
        offsets = column_offsets(facts)
        strangers = opening.is_among_strangers(artifact)
        # Users of another data set are strangers, whatever their ids: all go to the global adapter.
        routing = read_routing(artifact, examples.dataset.users, cold=strangers)
        if strangers and collaborative is not None:
            raise MismatchError(
                f"{artifact.reference} reads vectors of its own data set, not of {opening.dataset.reference}",
                hint="Say --same-users if equal ids are the same users and items, else score with its adapter.",
            )
    builder = PromptBuilder(
        base.tokenizer,
        examples.dataset,
        contract.prompt_config(),
        keywords=open_keywords(_keywords(artifact, contract, opening), examples.dataset),
        collaborative=collaborative,
        frame=contract.open_frame(base.tokenizer),
    )
    contract.check_answers(builder)
    decoder = Decoder(base.model)
    return LanguageScorer(
        scorer=Scorer(
            decoder,
            builder.answers,
            gates=gates,
            offsets=offsets,
            injector=injector,
            max_tokens=opening.max_tokens,
        ),
        builder=builder,
        examples=examples,
        relevance=contract.relevance,
        routing=routing,
    )


def fusion_facts(model: Artifact) -> dict[str, Any]:
    """Return what a model says of its fusion."""
    found: dict[str, Any] = json.loads(model.file("fusion.json").read_text())
    return found


def column_offsets(facts: Mapping[str, Any]) -> "npt.NDArray[np.float64]":
    """Return (n + 1,) offsets of the gates' columns; the global adapter has none, nor has a model from before centring.

    Args:
        facts: as fusion_facts gives them.
    """
    import numpy as np

    return np.array([0.0, *facts.get("offsets", [0.0] * facts["experts"])])


def adapter_of(store: Store, artifact: Artifact) -> Artifact:
    """Return the global adapter of an adapter, experts or a model."""
    adapter = artifact if artifact.kind == "adapter" else ancestor(store, artifact, "adapter")
    assert adapter is not None, "every model has an adapter in its lineage"
    return adapter


def open_soft(store: Store, artifact: Artifact) -> "SoftPrompt | None":
    """Return the soft prompt that the global adapter was trained with, if any."""
    from core.llm.soft import SoftPrompt

    return SoftPrompt.open(adapter_of(store, artifact).file("best"))


def open_adapters(store: Store, model: Artifact) -> "list[LoraWeights]":
    """Return the global adapter and the experts, if any, of a model: the columns of the gates."""
    from core.fusion.adapters import LoraWeights

    adapter = adapter_of(store, model)
    experts = model if model.kind == "experts" else ancestor(store, model, "experts")
    if experts is None:
        return [LoraWeights.open(adapter.file("best"))]
    folders = sorted(experts.file("experts").iterdir(), key=lambda folder: int(folder.name))
    return [LoraWeights.open(folder) for folder in [adapter.file("best"), *folders]]


def read_routing(model: Artifact, users: Sequence[str], *, cold: bool = False) -> "Routing":
    """Read weights and routes of a model for these users; those it does not know, or all of them, are cold."""
    import numpy as np

    from core.data.tables import read_rows
    from core.fusion.weights import Routing

    found = {row["user"]: row for row in read_rows(model.file("weights.parquet"))}
    count = max((len(row["weights"]) for row in found.values()), default=0)
    stranger = {"weights": [], "entropy": 0.0, "route": "cold", "expert": None}
    rows: list[dict[str, Any]] = [found.get(u, stranger) if not cold else stranger for u in users]
    return Routing(
        weights=np.array([row["weights"] or [0.0] * count for row in rows], dtype=np.float64),
        entropy=np.array([row["entropy"] for row in rows], dtype=np.float64),
        route=[row["route"] for row in rows],
        expert=np.array([-1 if row["expert"] is None else row["expert"] for row in rows]),
    )


def read_projected(
    encoder: Artifact, dataset: "Dataset"
) -> "tuple[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], Trained]":
    """Return the vectors that a projector reads of a data set's users and items, and which of them were trained."""
    from core.text.prompts import Trained

    users, known_users = read_vectors(encoder, "user", dataset.users)
    items, known_items = read_vectors(encoder, "item", dataset.items)
    return (users, items), Trained(users=known_users, items=known_items)


def read_vectors(
    encoder: Artifact, what: str, ids: Sequence[str]
) -> "tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]":
    """Return (n, d) vectors of ids and (n,) whether each was trained; zeros for an id that it does not know."""
    import numpy as np

    from core.data.tables import read_table

    table = read_table(encoder.file(f"{what}_vectors.parquet"), [what, "vector", "trained"])
    vectors = np.array(table["vector"], dtype=np.float32)
    place = {name: at for at, name in enumerate(table[what])}
    at = np.array([place.get(name, len(place)) for name in ids], dtype=np.int64)
    vectors = np.vstack([vectors, np.zeros((1, vectors.shape[1]), vectors.dtype)])
    return vectors[at], np.append(np.asarray(table["trained"]), False)[at]


def _encoder_of(store: Store, model: Artifact) -> Artifact:
    encoder = ancestor(store, model, "encoder")
    assert encoder is not None, "every model was fused with an encoder"
    return encoder


def _projector(artifact: Artifact) -> Path | None:
    """Return where the projector of a model lies, None for what has none."""
    path = artifact.folder / "projector.safetensors"
    return path if path.exists() else None


def _open_injector(
    artifact: Artifact, opening: Opening, device: Any
) -> "tuple[Injector | None, Trained | None]":
    """Return what a scorer puts into its prompts, and for a projector whose vectors were trained."""
    from core.llm.inject import Injector
    from core.llm.projector import Projector

    soft = open_soft(opening.store, artifact)
    path = _projector(artifact)
    if path is None:
        return Injector.of(soft=soft, device=device), None
    encoder = _encoder_of(opening.store, artifact)
    vectors, trained = read_projected(encoder, opening.examples.dataset)
    projector = Projector.open(path)
    injector = Injector.of(soft=soft, projector=projector, vectors=vectors, device=device)
    return injector, trained


def _examples(artifact: Artifact, contract: Contract, opening: Opening) -> "Examples":
    """Add the chance by counts if training had it; on another data set it is left out.

    Raises: MismatchError on another data set for a model whose score is that chance, corrected.
    """
    prior = prior_of(opening.store, contract)
    if prior is None or opening.is_among_strangers(artifact):
        if contract.prompt_config().prior_offset:
            raise MismatchError(
                f"{artifact.reference} corrects the counts of its own data set, and there are none of "
                f"{opening.dataset.reference}",
                hint="Say --same-users if equal ids are the same users and items, else train without --prior-offset.",
            )
        return opening.examples
    return tell_prior(opening.examples, prior)


def _keywords(artifact: Artifact, contract: Contract, opening: Opening) -> Artifact | None:
    """Take the keywords trained with, or on another data set its own, but only if training had any.

    What comes from the scorer's lineage belongs to items of the data set at home, some of which share their ids.

    Raises: MismatchError for keywords that would not be shown: other ones than those of the training on its own data
        set, those of a third data set, and any if training had none.
    """
    trained, given = keywords_of(opening.store, contract), opening.keywords
    if trained is None:
        if given:
            raise MismatchError(
                f"{artifact.reference} was trained without keywords, so it is shown none of {given.reference}",
                hint="Leave --keywords out; to show some, train with them: thinkrec train-global --keywords REF",
            )
        return None
    if not opening.is_abroad(artifact):
        if given and given.object_id != trained.object_id:
            raise MismatchError(
                f"{artifact.reference} was trained with {trained.reference}, not with {given.reference}",
                hint="Leave --keywords out; to show others, train with them: thinkrec train-global --keywords REF",
            )
        return trained
    if given and given.object_id != trained.object_id:
        if is_made_from(opening.store, given, opening.dataset):
            return given
        raise MismatchError(
            f"{given.reference} has keywords of other items than those of {opening.dataset.reference}",
            hint=f"Make some: thinkrec augment --dataset {opening.dataset.reference}; or leave --keywords out.",
        )
    return trained if opening.same_users else None


class _EncoderScorer:
    number_format = "float32"

    def __init__(self, artifact: Artifact, opening: Opening) -> None:
        from core.encoders.load import open_encoder

        if opening.is_abroad(artifact):
            # Its vectors stand by position: those of other data, as many as they may be, belong to others.
            raise MismatchError(
                f"{artifact.reference} knows users and items of its own data set, not of {opening.dataset.reference}",
                hint=f"Train one there: thinkrec encode --dataset {opening.dataset.reference}",
            )
        self._encoder = open_encoder(
            artifact.folder,
            opening.examples.dataset,
            opening.examples.histories,
            device=opening.device,
        )

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(getattr(self._encoder, "device", "cpu"))  # bias knows of none

    def score_rows(self, rows: "npt.NDArray[np.int64]") -> "Scored":
        from core.scoring.language import Scored

        return Scored(score=self._encoder.score_rows(rows))

    def score_pairs(
        self, users: "npt.NDArray[np.int64]", items: "npt.NDArray[np.int64]"
    ) -> "Scored":
        from core.scoring.language import Scored

        return Scored(score=self._encoder.score_pairs(users, items))

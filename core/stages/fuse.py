"""fuse: experts or an adapter, encoder -> model. Weights and route of every user, the projector, plain adapters."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from artifacts.store import Artifact
from core.config.fuse import FuseConfig
from core.errors import ConfigError, MismatchError
from core.stages.ancestry import dataset_of, require_descent
from core.stages.base import Context, Input, Stage, Work
from core.stages.encode import has_vectors
from core.stages.files import output_folder
from core.stages.language import (
    Contract,
    defined,
    keywords_of,
    offsets_of,
    open_examples,
    open_keywords,
    prior_of,
    training_summary,
    write_training_tables,
)
from core.stages.scorers import (
    adapter_of,
    column_offsets,
    fusion_facts,
    open_adapters,
    open_soft,
    read_projected,
    read_routing,
    read_vectors,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from core.config.training import LossConfig
    from core.fusion.weights import Routing


def make(work: Work[FuseConfig]) -> None:
    """Weigh and route every user of the data set; train the projector."""
    import json

    from core.data.dataset import Dataset

    config = work.config
    _check_without_experts(work)
    dataset = Dataset.open(work.input("dataset").folder)
    routing = _route(work, dataset.users)
    _write_weights(work.draft.folder / "weights.parquet", dataset.users, routing)
    facts: dict[str, Any] = {
        "fusion": config.fusion,
        "experts": routing.weights.shape[1],
        "tau": config.tau,
        "offsets": _offsets(work),
        "routes": {route: routing.route.count(route) for route in sorted(set(routing.route))},
    }
    if config.projector != "off":
        facts["projector"] = _train_projector(work, dataset, routing, column_offsets(facts))
    else:
        facts["projector"] = {"kept": False}
    (work.draft.folder / "fusion.json").write_text(
        json.dumps(facts, indent=2, sort_keys=True) + "\n"
    )
    work.draft.summary |= {**facts, "seed": config.seed}


_GATE = ("fusion", "tau", "concentrated_base", "concentrated_slope", "averaged_share", "centre")


def _check_without_experts(work: Work[FuseConfig]) -> None:
    """Look at what only experts use. Raises: MismatchError for an encoder that a projector cannot read."""
    config = work.config
    if _source(work).kind == "experts":
        return
    usual = FuseConfig()
    idle = [name for name in _GATE if getattr(config, name) != getattr(usual, name)]
    if idle:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        work.progress.say(f"without effect here: {options}: without experts there is no gate")
    encoder = work.input("encoder")
    if config.projector != "off" and not has_vectors(encoder):
        raise MismatchError(
            f"{encoder.reference} has no vectors for a projector to read",
            hint="Name an encoder with vectors: thinkrec encode --encoder sasrec; or add --projector off.",
        )


def _source(work: Work[FuseConfig]) -> Artifact:
    """Return the experts, or the adapter that takes their place. Raises: ConfigError for both."""
    experts, adapter = work.optional("experts"), work.optional("adapter")
    if experts is not None and adapter is not None:
        raise ConfigError(
            "--adapter fuses an adapter without experts, and --experts were given, too",
            hint="Leave one of them out.",
        )
    source = experts or adapter
    assert source is not None  # one takes the place of the other
    return source


def _route(work: Work[FuseConfig], ids: Sequence[str]) -> "Routing":
    """Weigh the experts for every user; without experts all users go the same way."""
    import numpy as np

    from core.data.tables import read_rows
    from core.fusion.weights import Gate, route_alike, route_users

    config, source = work.config, _source(work)
    if source.kind == "experts":
        # Cosines between the vectors of two encoders mean nothing, whatever their width.
        require_descent(work.context.store, source, work.input("encoder"), has_vectors)
    users, trained = read_vectors(work.input("encoder"), "user", ids)
    if source.kind == "adapter":
        return route_alike(len(users))
    table = read_rows(source.file("representations.parquet"))
    gate = Gate(
        tau=config.tau,
        concentrated_base=config.concentrated_base,
        concentrated_slope=config.concentrated_slope,
        averaged_share=config.averaged_share,
    )
    return route_users(
        users.astype(np.float64),
        trained,
        np.array([row["vector"] for row in table], dtype=np.float64),
        gate,
    )


def _offsets(work: Work[FuseConfig]) -> list[float]:
    """Return what is added to the Yes logit of each expert."""
    from core.data.tables import read_rows

    source = _source(work)
    if source.kind == "adapter":
        return []
    table = read_rows(source.file("representations.parquet"))
    return offsets_of(table, source.reference) if work.config.centre else [0.0] * len(table)


def _write_weights(path: Path, users: list[str], routing: "Routing") -> None:
    from core.data.tables import write_table
    from core.stages.kinds import MODEL

    weights = [
        [] if route == "cold" else row.tolist()
        for row, route in zip(routing.weights, routing.route, strict=True)
    ]
    write_table(
        path,
        {
            "user": users,
            "user_index": range(len(users)),
            "route": routing.route,
            "expert": [None if e < 0 else int(e) for e in routing.expert],
            "entropy": routing.entropy,
            "weights": weights,
        },
        MODEL.payload("weights.parquet").columns,
    )


def _train_projector(
    work: Work[FuseConfig],
    dataset: Any,
    routing: "Routing",
    offsets: "npt.NDArray[np.float64]",
) -> dict[str, Any]:
    """Train the projector with everything else frozen; with "auto" keep it only if it clearly helps."""
    from core.fusion.mixture import install_mixture
    from core.llm.device import describe_machine
    from core.training.projection import Projection
    from core.training.validation import gain

    config, store = work.config, work.context.store
    source = _source(work)
    contract = Contract.read(source.file("contract.json"))
    base = contract.open_base(config.dtype, config.device, work.progress)
    gates = install_mixture(base.model, open_adapters(store, source), config.fusion)
    vectors, trained = read_projected(work.input("encoder"), dataset)
    projection = Projection(
        base=base,
        gates=gates,
        offsets=offsets,
        routing=routing,
        examples=open_examples(work.input("dataset"), prior_of(store, contract)),
        prompt=contract.prompt_config(),
        frame=contract.open_frame(base.tokenizer),
        keywords=open_keywords(keywords_of(store, contract), dataset),
        vectors=vectors,
        trained=trained,
        soft=open_soft(store, source),
        loss=_loss(adapter_of(store, source), contract),
        optim=config,
        folder=work.run_folder,
        progress=work.progress,
    )
    without = projection.valid_without() if config.projector == "auto" else None
    if without is not None and len(set(without.label.tolist())) < 2:
        work.progress.say(
            "without a valid AUC the projector cannot be found better than none, so there is none; --projector on "
            "trains it all the same"
        )
        return {"kept": False}
    run = projection.run()
    write_training_tables(work.draft.folder, [run])
    facts = training_summary(run) | {"kept": True}
    if without is not None:
        found = gain(projection.valid_with(run), without, seed=config.seed)
        facts |= {
            "kept": found.clear,
            "valid_auc_without": defined(found.without),
            "valid_auc_gain": defined(found.value),
            "gain_standard_error": defined(found.standard_error),
        }
    if facts["kept"]:
        projection.save(work.draft.folder / "projector.safetensors", run.best)
    work.draft.summary |= {
        "machine": describe_machine(config.device),
        "dtype": str(base.dtype).removeprefix("torch."),
    }
    return facts


def _loss(adapter: Artifact, contract: Contract) -> "LossConfig":
    """Return the loss that an adapter was trained with on recommendation instances."""
    from core.config.training import LossConfig

    known = adapter.manifest.parameters
    weights = {name: known[name] for name in ("theta", "gamma") if name in known}
    return LossConfig(relevance=cast("Any", contract.relevance), **weights)


def export_user(context: Context, model: Artifact, user: str, folder: Path) -> Path:
    """Write one user's fused weights as a plain PEFT adapter whose logits equal the fused ones.

    What the model adds to the logit of Yes to centre its experts is the `yes_offset` of contract.json: the same for
    all items of the user. Where it corrects the chance by counts (`prior_offset` there), each row's log odds come on
    top.

    Raises: UnknownUserError; ConfigError if the folder is not empty, or the model's scores cannot be had by an
        adapter alone (cross terms of peft-linear, projected vectors or a soft prompt).
    """
    import dataclasses

    from core.data.dataset import Dataset
    from core.fusion.adapters import write_combined

    dataset = dataset_of(context.store, model)
    assert dataset is not None
    opened = Dataset.open(dataset.folder)
    index = opened.user_index(user)
    facts = fusion_facts(model)
    if facts["fusion"] != "exact":
        raise ConfigError(
            f"{model.reference} fuses by '{facts['fusion']}', which no sum of adapters equals",
            hint="Fuse again with --fusion exact.",
        )
    if facts["projector"].get("kept"):
        raise ConfigError(
            f"{model.reference} puts projected vectors into its prompts, which a plain adapter cannot hold",
            hint="Fuse again with --projector off.",
        )
    adapter = adapter_of(context.store, model)
    contract = Contract.read(adapter.file("contract.json"))
    if contract.prompt_config().soft_tokens:
        raise ConfigError(
            f"{model.reference} puts a soft prompt before its questions, which a plain adapter cannot hold",
            hint="Train without it: thinkrec train-global --soft-tokens 0",
        )
    output_folder(folder, empty=True)
    adapters = open_adapters(context.store, model)
    columns = read_routing(model, opened.users).columns[index]
    write_combined(folder, adapters, columns.tolist(), contract.base)
    offset = float(columns @ column_offsets(facts))
    dataclasses.replace(contract, yes_offset=offset).write(folder / "contract.json")
    if contract.prompt_config().prior_offset:
        prior = prior_of(context.store, contract)
        context.progress.say(
            "this adapter corrects what counts say: to its logit of Yes come the log odds of each row, the scores of "
            f"{prior.reference if prior else 'its prior'}"
        )
    return folder


STAGE = Stage(
    command="fuse",
    kind="model",
    config=FuseConfig,
    inputs={
        "adapter": Input(
            kinds=("adapter",),
            text="Fuse without experts: this adapter answers everybody, read with the projector.",
            required=False,
            latest=False,
            by_option=True,  # the adapter of a pipe is that of its experts
        ),
        "experts": Input(kinds=("experts",), text="Experts to fuse.", unless="adapter"),
        "encoder": Input(
            kinds=("encoder",),
            text="Encoder the groups were made from.",
            through="experts",
            fits=has_vectors,
        ),
        "dataset": Input(kinds=("dataset",), text="Data set of the users.", through="experts"),
    },
    name=lambda config, inputs: (
        (inputs["experts"] or inputs["adapter"])[0].name
        + ("" if config.fusion == "exact" else "-linear")
    ),
    make=make,
)

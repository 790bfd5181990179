"""train-experts: adapter, groups -> experts. One LoRA per user group, from the global one, in its last layers."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.config.training import LossConfig, MixConfig, TrainExpertsConfig
from core.errors import ConfigError
from core.stages.ancestry import ancestor, require_descent
from core.stages.base import Input, Stage, Work
from core.stages.encode import has_vectors
from core.stages.language import (
    Contract,
    keywords_of,
    members_of,
    offsets_of,
    open_examples,
    open_keywords,
    prior_of,
    read_reasons,
    training_summary,
    write_training_tables,
)

if TYPE_CHECKING:
    from core.training.loop import TrainingRun, ValidationRecord


def make(work: Work[TrainExpertsConfig]) -> None:
    """Train each group's expert on its users' rows; with add_group, one more beside those that are kept."""
    import shutil

    import numpy as np

    from core.data.tables import read_rows, write_table
    from core.stages.kinds import EXPERTS

    config, folder = work.config, work.draft.folder
    groups = work.input("groups")
    kept = work.optional("experts")
    if config.add_group is None and kept is not None:
        raise ConfigError(
            f"all experts are trained, and {kept.reference} would not be looked at",
            hint="Add one to them: --add-group GROUP, or leave --experts out.",
        )
    table = read_rows(groups.file("representations.parquet"))
    if config.add_group is not None and kept is None:
        raise ConfigError(
            "--add-group needs the experts to add to, and none were given",
            hint="Name them: --experts experts/NAME",
        )
    only = config.only_groups if config.add_group is None else (config.add_group,)
    members = members_of(groups, only)
    representations = []
    if kept is not None:
        require_descent(work.context.store, kept, work.input("adapter"))
        # Vectors of two encoders have nothing to do with each other, whatever their width.
        if encoder := ancestor(work.context.store, groups, "encoder"):
            require_descent(work.context.store, kept, encoder, has_vectors)
        representations = read_rows(kept.file("representations.parquet"))
        offsets_of(
            representations, kept.reference
        )  # refuses what fuse would, before anything trains
        _refuse_twice(representations, table, members, kept.reference)
        shutil.copytree(kept.file("experts"), folder / "experts")
    first = len(representations)
    runs = _train_groups(work, members, first)
    for position, group in enumerate(members):
        row = next(row for row in table if row["group"] == group)
        offset = centring_offset(runs[position][1].validations)
        representations.append({**row, "group": first + position, "offset": offset})
    types = EXPERTS.payload("representations.parquet").columns
    write_table(
        folder / "representations.parquet",
        {
            "group": [row["group"] for row in representations],
            "users": [row["users"] for row in representations],
            "vector": np.array([row["vector"] for row in representations], dtype=np.float32),
            "offset": [row["offset"] for row in representations],
        },
        types,
    )
    shutil.copyfile(work.input("adapter").file("contract.json"), folder / "contract.json")
    write_training_tables(folder, [run for _, run in runs])
    work.draft.summary |= {
        "experts": len(representations),
        "kept": first,
        "seed": config.seed,
        "training": {f"expert {name}": training_summary(run) for name, run in runs},
    }


def _refuse_twice(
    kept: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
    added: Collection[int],
    reference: str,
) -> None:
    """Raises: ConfigError for a group that stands where an expert does, which would share its users with it."""
    places = {tuple(row["vector"]): row["group"] for row in kept}
    for row in groups:
        expert = places.get(tuple(row["vector"])) if row["group"] in added else None
        if expert is not None:
            raise ConfigError(
                f"group {row['group']} has an expert in {reference}: expert {expert}",
                hint="Add a group without one, or train all experts anew: leave --experts and --add-group out.",
            )


def centring_offset(validations: "Sequence[ValidationRecord]") -> float:
    """Return what added to an expert's scores gives them the mean of the adapter it started from.

    Each expert drifts by an amount of its own, which no ranking within its group shows; scores of users with
    different experts can be compared only without it. Both means are over the same valid rows of the group; without
    valid rows there is nothing to centre by, and the offset is 0.

    Args:
        validations: of one expert, the first before any step.
    """
    best = max((v for v in validations if v.best), key=lambda v: v.step, default=validations[-1])
    offset = validations[0].mean_score - best.mean_score
    return offset if math.isfinite(offset) else 0.0


def _train_groups(
    work: Work[TrainExpertsConfig], members: Mapping[int, list[int]], first: int
) -> "list[tuple[str, TrainingRun]]":
    """Train the expert of each group (group -> its users); experts are numbered from `first` on."""
    import dataclasses

    import numpy as np

    from core.llm.device import describe_machine
    from core.llm.soft import SoftPrompt
    from core.text.prompts import PromptBuilder
    from core.training.finetune import FineTune
    from core.training.lora import put_weights, reopen

    config = work.config
    adapter = work.input("adapter")
    contract = Contract.read(adapter.file("contract.json"))
    examples = open_examples(work.input("dataset"), prior_of(work.context.store, contract))
    dataset = examples.dataset
    base = contract.open_base(config.dtype, config.device, work.progress)
    builder = PromptBuilder(
        base.tokenizer,
        dataset,
        contract.prompt_config(),
        keywords=open_keywords(keywords_of(work.context.store, contract), dataset),
        frame=contract.open_frame(base.tokenizer),
    )
    contract.check_answers(builder)
    model = reopen(base.model, adapter.file("best"))
    start = {n: p.detach().clone() for n, p in model.named_parameters() if "lora_" in n}
    trained = adapter.manifest.parameters
    mix = {f.name: getattr(config, f.name) for f in dataclasses.fields(MixConfig)}
    mix = {name: trained[name] if value is None else value for name, value in mix.items()}
    loss = LossConfig.from_mapping(
        mix | {"relevance": contract.relevance}, where=f"settings of {adapter.reference}"
    )
    reasons = read_reasons(work.optional("traces"), "train") if loss.reason_share else {}
    layers = base.model.config.num_hidden_layers
    runs = []
    for position, group in enumerate(members):
        users = np.zeros(len(dataset.users), dtype=bool)
        users[members[group]] = True
        put_weights({n: p for n, p in model.named_parameters() if n in start}, start)
        name = str(first + position)
        tuning = FineTune(
            model=model,
            examples=examples,
            builder=builder,
            reasons=reasons,
            loss=loss,
            optim=config,
            folder=work.run_folder / f"expert-{name}",
            progress=work.progress,
            soft=SoftPrompt.open(adapter.file("best")),
            users=users,
            first_layer=max(0, layers - config.layers),
            cache_bytes=config.activation_cache_mb * 1_000_000,
            look_first=True,
            keep_start=config.keep_start,
        )
        run = tuning.run(f"expert {name}")
        tuning.save(work.draft.folder / "experts" / name, base.spec, run.best)
        runs.append((name, run))
    work.draft.summary |= {
        "machine": describe_machine(config.device),
        "dtype": str(base.dtype).removeprefix("torch."),
    }
    return runs


STAGE = Stage(
    command="train-experts",
    kind="experts",
    config=TrainExpertsConfig,
    inputs={
        "adapter": Input(
            kinds=("adapter",), text="Global adapter to start from.", through="experts"
        ),
        "groups": Input(kinds=("groups",), text="User groups, one expert each."),
        "dataset": Input(kinds=("dataset",), text="Data set to train on.", through="adapter"),
        "traces": Input(
            kinds=("traces",),
            text="Reasons to learn from.",
            required=False,
            through="adapter",
            latest=False,  # an adapter that learnt from none has experts that learn from none
        ),
        "experts": Input(
            kinds=("experts",),
            text="Experts to keep, with --add-group.",
            required=False,
            latest=False,
        ),
    },
    name=lambda config, inputs: inputs["groups"][0].name,
    make=make,
)

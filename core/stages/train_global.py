"""train-global: dataset, keywords, traces -> adapter. The global LoRA, trained to recommend and to reason."""

from typing import TYPE_CHECKING

from core.config.prompt import PromptConfig
from core.config.training import TrainGlobalConfig
from core.errors import ConfigError
from core.stages.base import Input, Stage, Work
from core.stages.language import (
    Contract,
    members_of,
    open_examples,
    open_keywords,
    read_reasons,
    training_summary,
    write_training_tables,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from core.data.dataset import Dataset


def make(work: Work[TrainGlobalConfig]) -> None:
    """Train on the train split, look at the valid split, keep the best and the last weights."""
    import dataclasses

    from core.llm.device import describe_machine
    from core.llm.load import load_base
    from core.text.frame import Frame
    from core.text.prompts import PromptBuilder
    from core.training.finetune import FineTune, new_lora, new_soft

    config = work.config
    _tell_of_unread(work)
    prior = work.optional("prior")
    if config.prior_offset and prior is None:
        raise ConfigError(
            "--prior-offset needs the encoder whose log odds it adds, and none was given",
            hint="Name it: --prior encoder/NAME, made by thinkrec encode --encoder bias",
        )
    examples = open_examples(work.input("dataset"), prior)
    keywords = work.optional("keywords")
    base = load_base(config.base, dtype=config.dtype, device=config.device, progress=work.progress)
    prompt = PromptConfig(
        **{f.name: getattr(config, f.name) for f in dataclasses.fields(PromptConfig)}
    )
    builder = PromptBuilder(
        base.tokenizer,
        examples.dataset,
        prompt,
        keywords=open_keywords(keywords, examples.dataset),
        frame=Frame.kept(work.run_folder / "frame.json", base.tokenizer),
    )
    tuning = FineTune(
        soft=new_soft(base, config),
        model=new_lora(base, config),
        examples=examples,
        builder=builder,
        reasons=read_reasons(work.optional("traces"), "train") if config.reason_share else {},
        loss=config,
        optim=config,
        folder=work.run_folder,
        progress=work.progress,
        users=_chosen(work, examples.dataset),
    )
    run = tuning.run("global")
    folder = work.draft.folder
    tuning.save(folder / "last", base.spec)
    tuning.save(folder / "best", base.spec, run.best)
    Contract(
        base=base.spec,
        base_digest=base.digest,
        dtype=str(base.dtype).removeprefix("torch."),
        prompt=dataclasses.asdict(prompt),
        relevance=config.relevance,
        keywords=keywords.object_id if keywords else None,
        answers=dataclasses.asdict(builder.answers),
        prior=prior.object_id if prior else None,
        frame=dataclasses.asdict(builder.frame),
    ).write(folder / "contract.json")
    write_training_tables(folder, [run])
    work.draft.summary |= {
        **training_summary(run),
        "seed": config.seed,
        "machine": describe_machine(config.device),
        "dtype": str(base.dtype).removeprefix("torch."),
        "style": config.style,
    }


def _tell_of_unread(work: Work[TrainGlobalConfig]) -> None:
    """Tell that the reasons say what the prompts do not: a model learns from them to invent such things."""
    traces, config = work.optional("traces"), work.config
    if traces is None or not config.reason_share:
        return
    told = traces.manifest.parameters
    unread = []
    # Keys of grounded reasons leave the setting out where counts are used.
    if config.style == "paper" and told.get("show_counts", True):
        unread.append(("counts", "--no-show-counts"))
    if told.get("history_length", 0) > config.history_length:
        unread.append(
            (
                f"the last {told['history_length']} items",
                f"--history-length {config.history_length}",
            )
        )
    if not config.history_dislikes:
        unread.append(("what was not liked", ""))
    for what, remedy in unread:
        work.progress.say(
            f"the reasons of {traces.reference} may name {what}, which these prompts do not show: the model learns to "
            f"invent them{f'; thinkrec synthesize {remedy} writes others' if remedy else ''}"
        )


def _chosen(work: Work[TrainGlobalConfig], dataset: "Dataset") -> "npt.NDArray[np.bool_] | None":
    """Return (U,) whose rows are trained on, None for all. Raises: ConfigError for a group that is not there."""
    import numpy as np

    groups, only = work.optional("groups"), work.config.only_groups
    if groups is None:
        if only:
            raise ConfigError(
                "--only-groups needs the groups, and none were given",
                hint="Name them: --groups groups/NAME",
            )
        return None
    if not only:
        raise ConfigError(
            f"{groups.reference} is given, and no group of it to train on",
            hint="Say which: --only-groups GROUP, or leave --groups out.",
        )
    users = np.zeros(len(dataset.users), dtype=bool)
    for members in members_of(groups, only).values():
        users[members] = True
    return users


def _resources(config: TrainGlobalConfig) -> dict[str, str]:
    from core.llm.identity import base_digest

    return {"base": base_digest(config.base)}


STAGE = Stage(
    command="train-global",
    kind="adapter",
    config=TrainGlobalConfig,
    inputs={
        "dataset": Input(kinds=("dataset",), text="Data set to train on."),
        "keywords": Input(kinds=("keywords",), text="Keywords of the items.", required=False),
        "prior": Input(
            kinds=("encoder",),
            text="Bias encoder whose chance by counts is told in the prompt.",
            required=False,
            latest=False,
            # Other encoders come through a pipe for other commands.
            fits=lambda artifact: artifact.manifest.parameters.get("encoder") == "bias",
        ),
        "groups": Input(
            kinds=("groups",),
            text="With --only-groups: the groups they are of.",
            required=False,
            latest=False,
            by_option=True,  # groups in a pipe are there for train-experts
            wanted=lambda config: bool(config.only_groups),
        ),
        "traces": Input(kinds=("traces",), text="Reasons to learn from.", required=False),
    },
    name=lambda config, inputs: "global",
    resources=_resources,
    make=make,
)

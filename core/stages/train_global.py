"""train-global: dataset, keywords, traces -> adapter. The global LoRA, trained to recommend and to reason."""

from core.config.prompt import PromptConfig
from core.config.training import TrainGlobalConfig
from core.stages.base import Input, Stage, Work
from core.stages.language import (
    Contract,
    open_examples,
    open_keywords,
    read_reasons,
    training_summary,
    write_training_tables,
)


def make(work: Work[TrainGlobalConfig]) -> None:
    """Train on the train split, look at the valid split, keep the best and the last weights."""
    import dataclasses

    from core.llm.device import describe_machine
    from core.llm.load import load_base
    from core.text.prompts import PromptBuilder
    from core.training.finetune import FineTune, new_lora, new_soft

    config = work.config
    prior = work.optional("prior")
    examples = open_examples(work.input("dataset"), prior)
    dataset = examples.dataset
    keywords = work.optional("keywords")
    base = load_base(config.base, dtype=config.dtype, device=config.device, progress=work.progress)
    prompt = PromptConfig(
        **{f.name: getattr(config, f.name) for f in dataclasses.fields(PromptConfig)}
    )
    builder = PromptBuilder(
        base.tokenizer, dataset, prompt, keywords=open_keywords(keywords, dataset)
    )
    # Before the LoRA is put in: PEFT wraps the model.
    soft = new_soft(base, config)
    tuning = FineTune(
        soft=soft,
        model=new_lora(base, config),
        examples=examples,
        builder=builder,
        reasons=read_reasons(work.optional("traces"), "train") if config.reason_share else {},
        loss=config,
        optim=config,
        folder=work.run_folder,
        progress=work.progress,
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
    ).write(folder / "contract.json")
    write_training_tables(folder, [run])
    work.draft.summary |= {
        **training_summary(run),
        "seed": config.seed,
        "machine": describe_machine(),
        "dtype": str(base.dtype).removeprefix("torch."),
        "style": config.style,
    }


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
        "traces": Input(kinds=("traces",), text="Reasons to learn from.", required=False),
    },
    name=lambda config, inputs: "global",
    resources=_resources,
    make=make,
)

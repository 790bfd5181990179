"""`thinkrec synthesize`: reasons with the right answer for some rows (method, section 3)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.config.synthesize import SynthesizeConfig
from core.errors import TeacherError
from core.stages.base import Input, Stage, Work

if TYPE_CHECKING:
    from artifacts.store import Artifact
    from core.data.dataset import Dataset
    from core.text.cases import Case
    from core.text.teachers import TeacherSettings
    from core.text.traces import Trace

DEFAULT_LOCAL_MODEL = "smollm2-135m-instruct"
JOURNAL = "replies.jsonl"
_TEST_SEED = 0


def make(work: Work[SynthesizeConfig]) -> None:
    """Choose rows, have them explained, write the traces."""
    from core.data.dataset import Dataset
    from core.stages.language import open_keywords
    from core.text.cases import build_cases
    from core.text.traces import count_statuses

    config = work.config
    dataset = Dataset.open(work.input("dataset").folder)
    rows = _sampled(dataset, config)
    words = open_keywords(work.optional("keywords"), dataset) or [[] for _ in dataset.items]
    cases = build_cases(dataset, rows, keywords=words, history_length=config.history_length)
    traces, facts = _explained(work, cases)
    counts = count_statuses(traces)
    kept = facts.get("replies_before", 0)
    _require_enough(counts, config, f"{kept} replies were kept from a run before" if kept else "")
    _write(work, traces)
    accepted = [trace.tries for trace in traces if trace.status == "ok"]
    work.draft.summary.update(
        {
            "rows": len(traces),
            **counts,
            "right_at_once": sum(tries == 1 for tries in accepted),
            "mean_tries": round(sum(accepted) / max(1, len(accepted)), 3),
            "seed": config.seed,
            **facts,
        }
    )
    work.progress.say(
        f"{counts['ok']} of {len(traces)} reasons accepted, "
        f"{work.draft.summary['right_at_once']} at the first try"
    )


def _sampled(dataset: "Dataset", config: SynthesizeConfig) -> list[int]:
    """Return the rows to explain, of all splits, in order."""
    from core.data.dataset import SPLITS
    from core.text.cases import Sampling, sample_rows

    rows: list[int] = []
    for split, count in zip(SPLITS, (config.rows, config.valid_rows, config.held_out), strict=True):
        sampling = Sampling(
            count=count,
            # Test rows are the same whatever the seed, so that reasons of models of several seeds compare.
            seed=_TEST_SEED if split == "test" else config.seed,
            balance=config.balance,
            least_history=config.least_history,
        )
        rows += sample_rows(dataset, split, sampling).tolist()
    return sorted(rows)


def _explained(
    work: Work[SynthesizeConfig], cases: "Sequence[Case]"
) -> "tuple[list[Trace], dict[str, Any]]":
    """Have every case explained; returns the traces and facts for the manifest."""
    config = work.config
    with work.progress.bar(f"explaining ({config.teacher})", len(cases), "rows") as bar:
        if config.teacher == "grounded":
            from core.text.grounded import grounded_trace

            traces = []
            for case in cases:
                traces.append(
                    grounded_trace(case, seed=config.seed, show_counts=config.show_counts)
                )
                bar.advance()
            return traces, {"teacher": _teacher_name(config)}
        from core.text.teachers import teach

        settings = _teacher_settings(config)
        journal = work.run_folder / JOURNAL
        if work.context.force:
            journal.unlink(missing_ok=True)  # what was answered badly is asked anew, too
        conversations = [teach(case, settings) for case in cases]
        if config.teacher == "local":
            from core.text.speakers import hold_locally

            held = hold_locally(
                conversations,
                model=config.model or DEFAULT_LOCAL_MODEL,
                config=config,
                journal_path=journal,
                done=bar.advance,
            )
        else:
            from core.text.speakers import hold_at_endpoint

            held = hold_at_endpoint(
                conversations,
                model=config.model or "",
                config=config,
                journal_path=journal,
                done=bar.advance,
            )
    return held.results, {"teacher": _teacher_name(config), **held.facts}


def _teacher_settings(config: SynthesizeConfig) -> "TeacherSettings":
    from core.text.teachers import TeacherSettings

    return TeacherSettings(
        max_tries=config.max_tries,
        max_tokens=config.max_tokens,
        token_growth=config.token_growth,
        most_tokens=config.most_tokens,
        reason_words=config.reason_words,
        show_counts=config.show_counts,
        json_answers=config.teacher == "openai",
        answer_first=config.teacher == "local" and config.answer_first,
    )


def _teacher_name(config: SynthesizeConfig) -> str:
    """Return what the column `teacher` says: grounded, local:MODEL or openai:MODEL."""
    if config.teacher == "grounded":
        return "grounded"
    return f"{config.teacher}:{config.model or DEFAULT_LOCAL_MODEL}"


def _require_enough(counts: Mapping[str, int], config: SynthesizeConfig, from_before: str) -> None:
    """Raises: TeacherError if too few reasons were accepted; `from_before` says what an earlier run left."""
    if counts["ok"] >= config.min_ok:
        return
    rows = sum(counts.values())
    others = ", ".join(f"{counts[status]} {status}" for status in counts if status != "ok")
    raise TeacherError(
        f"the teacher {_teacher_name(config)} gave {counts['ok']} reasons of use for {rows} rows "
        f"({others}); {config.min_ok} are needed",
        hint="Use a stronger model, the teacher grounded, more --max-tokens, or a lower --min-ok."
        + (f" {from_before}: --force asks anew." if from_before else ""),
    )


def _require_enough_of(config: SynthesizeConfig, found: "Artifact") -> None:
    """Hold traces made before to --min-ok, which they do not depend on."""
    from core.stages.language import require_answered
    from core.text.traces import STATUSES

    summary = found.manifest.summary
    counts: dict[str, int] = {status: int(summary[status]) for status in STATUSES}
    _require_enough(counts, config, f"{found.reference} was made before")
    require_answered(found, config.max_unanswered)


def _write(work: Work[SynthesizeConfig], traces: "Sequence[Trace]") -> None:
    from core.data.tables import write_table
    from core.stages.kinds import TRACES

    write_table(
        work.draft.folder / "traces.parquet",
        {
            "row": [trace.case.row for trace in traces],
            "user": [trace.case.user for trace in traces],
            "item": [trace.case.item for trace in traces],
            "split": [trace.case.split for trace in traces],
            "label": [trace.case.label for trace in traces],
            "reason": [trace.reason for trace in traces],
            "teacher": [_teacher_name(work.config)] * len(traces),
            "tries": [trace.tries for trace in traces],
            "status": [trace.status for trace in traces],
        },
        TRACES.payload("traces.parquet").columns,
    )


def _resources(config: SynthesizeConfig) -> Mapping[str, str]:
    if config.teacher != "local":
        return {}
    from core.llm.identity import base_digest

    return {"teacher": base_digest(config.model or DEFAULT_LOCAL_MODEL)}


STAGE = Stage(
    command="synthesize",
    kind="traces",
    config=SynthesizeConfig,
    inputs={
        "dataset": Input(kinds=("dataset",), text="interactions to explain"),
        "keywords": Input(kinds=("keywords",), text="keywords of the items", required=False),
    },
    name=lambda config, inputs: config.teacher,
    resources=_resources,
    make=make,
    require=_require_enough_of,
)

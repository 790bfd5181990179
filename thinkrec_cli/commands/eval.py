"""`thinkrec eval`: scores, explanations -> evaluation."""

from pathlib import Path
from typing import Annotated

import typer

from core.stages.eval import STAGE
from thinkrec_cli.options import parameter
from thinkrec_cli.pages.evaluation import evaluation_json, show_evaluation
from thinkrec_cli.session import Session
from thinkrec_cli.stage_command import Done, Shape, stage_command

DETAILS = """
AUC, UAUC, NDCG@k, MAP@k and log loss of every scorer, beside the counts, recent likes and a constant; every two
scorers compared; METEOR and BLEU of reasons. The report is one page that any browser opens, and the same as Markdown.
"""
EXAMPLES = (
    "thinkrec eval scores/mf-test scores/thinkrec-test",
    "thinkrec eval scores/mf-test scores/thinkrec-test --report report",
    "thinkrec eval scores/collm-test scores/thinkrec-test --against scores/collm-test",
    "thinkrec score --split test | thinkrec eval --json",
)

_REPORT = parameter(
    "report",
    Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Also copy the report there: report.html and report.md.",
        ),
    ],
    None,
)


def _copy(session: Session, done: Done) -> None:
    if folder := done.extras["report"]:
        from core.stages.eval_report import copy_report

        for written in copy_report(done.outcome.artifact, folder):
            session.say(f"report: {written}")


command = stage_command(
    STAGE,
    Shape(
        references=True,
        extras=(_REPORT,),
        act=_copy,
        present=show_evaluation,
        as_json=evaluation_json,
    ),
)

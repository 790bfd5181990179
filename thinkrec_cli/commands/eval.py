"""`thinkrec eval`: scores, explanations -> evaluation."""

from core.stages.eval import STAGE
from thinkrec_cli.pages.evaluation import evaluation_json, show_evaluation
from thinkrec_cli.stage_command import Shape, stage_command

DETAILS = """
AUC, UAUC, NDCG@k, MAP@k and log loss of every scorer, beside the counts and a constant; METEOR
and BLEU of reasons.
"""
EXAMPLES = (
    "thinkrec eval scores/mf scores/thinkrec",
    "thinkrec score --split test | thinkrec eval --json",
)

command = stage_command(
    STAGE, Shape(references=True, present=show_evaluation, as_json=evaluation_json)
)

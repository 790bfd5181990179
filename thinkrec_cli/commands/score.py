"""`thinkrec score`: a scorer and pairs -> scores."""

from core.stages.score import STAGE
from thinkrec_cli.pages.ranking import ranking_json, show_ranking
from thinkrec_cli.stage_command import Shape, stage_command

DETAILS = """
The scorer is an encoder, a global adapter or a fused model. The pairs are the rows of a split, a
file of pairs, or items that a user, or each user of a file, has not seen.
"""
EXAMPLES = (
    "thinkrec score --split test",
    "thinkrec score --scorer encoder/mf --split test",
    "thinkrec score --user 42 --top 10",
    "thinkrec score --users users.csv --top 10",
)

command = stage_command(STAGE, Shape(present=show_ranking, as_json=ranking_json))

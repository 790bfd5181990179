"""`thinkrec encode`: dataset -> encoder."""

from core.stages.encode import STAGE
from thinkrec_cli.stage_command import stage_command

DETAILS = """
Gives every user and item a vector, and scores pairs by itself: the baseline that a language model
has to beat.
"""
EXAMPLES = ("thinkrec encode --encoder mf", "thinkrec encode --encoder sasrec --name history")

command = stage_command(STAGE)

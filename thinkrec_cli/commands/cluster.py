"""`thinkrec cluster`: encoder -> groups."""

from core.stages.cluster import STAGE
from thinkrec_cli.stage_command import stage_command

DETAILS = """
Groups users by the vectors of an encoder, says how far the groups are apart (Cohen's d) and draws
them.
"""
EXAMPLES = ("thinkrec cluster -k 3", "thinkrec encode --encoder sasrec | thinkrec cluster -k 2")

command = stage_command(STAGE)

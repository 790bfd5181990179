"""`thinkrec synthesize`: dataset, keywords -> traces."""

from core.stages.synthesize import STAGE
from thinkrec_cli.stage_command import stage_command

DETAILS = """
A teacher sees a user's history and a target item and must say whether the user likes it, and why.
Where it is wrong it is asked again with the answer as a hint, until its reason leads to the right
answer.
"""
EXAMPLES = ("thinkrec synthesize", "thinkrec synthesize --keywords none")

command = stage_command(STAGE)

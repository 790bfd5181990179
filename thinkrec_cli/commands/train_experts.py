"""`thinkrec train-experts`: adapter, groups -> experts."""

from core.stages.train_experts import STAGE
from thinkrec_cli.stage_command import stage_command

DETAILS = """
Every expert starts from the global adapter and trains the LoRA of the last layers on the rows of
its group.
"""
EXAMPLES = ("thinkrec train-experts",)

command = stage_command(STAGE)

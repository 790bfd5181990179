"""`thinkrec train-global`: dataset, keywords, traces, encoder -> adapter."""

from core.stages.train_global import STAGE
from thinkrec_cli.stage_command import stage_command

DETAILS = """
Tunes the language model to answer Yes or No and to reason, both at once. Interrupted training
continues from its last checkpoint when the same command runs again.
"""
EXAMPLES = ("thinkrec train-global", "thinkrec train-global --traces none --name without-thinking")

command = stage_command(STAGE)

"""`thinkrec augment`: dataset -> keywords."""

from core.stages.augment import STAGE
from thinkrec_cli.stage_command import stage_command

DETAILS = """
Keywords come from the item's title, categories and description, by TF-IDF or by a language model.
"""
EXAMPLES = ("thinkrec augment", "thinkrec ingest ml-100k | thinkrec augment")

command = stage_command(STAGE)

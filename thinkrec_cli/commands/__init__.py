"""One file per command, named after it. This table is all that `thinkrec --help` has to load."""

from typing import NamedTuple

STAGES = "Pipeline, in this order"
HOUSE = "Artifacts"


class Line(NamedTuple):
    """How a command is listed."""

    panel: str
    text: str


COMMANDS = {
    "ingest": Line(STAGES, "Read ratings and items into a data set."),
    "augment": Line(STAGES, "Give every item up to 10 keywords."),
    "synthesize": Line(STAGES, "Let a teacher write reasons for training rows."),
    "encode": Line(STAGES, "Train a collaborative model of users and items."),
    "train-global": Line(STAGES, "Train the LoRA adapter that all users share."),
    "cluster": Line(STAGES, "Group users by their vectors."),
    "train-experts": Line(STAGES, "Train one LoRA expert per group of users."),
    "fuse": Line(STAGES, "Weigh the experts for every user; train the projector."),
    "score": Line(STAGES, "Score pairs of user and item, or rank items for a user."),
    "explain": Line(STAGES, "Say why a user would like an item, or not."),
    "eval": Line(STAGES, "Measure scores and reasons."),
    "run": Line(STAGES, "Run a whole pipeline from a recipe."),
    "list": Line(HOUSE, "List artifacts."),
    "show": Line(HOUSE, "Show an artifact: settings, files, what it comes from."),
    "sql": Line(HOUSE, "Query everything with SQL."),
    "verify": Line(HOUSE, "Check files against their checksums."),
    "remove": Line(HOUSE, "Take artifacts away."),
    "gc": Line(HOUSE, "Remove what nothing needs."),
    "rebuild": Line(HOUSE, "Make the catalog anew from the files."),
}

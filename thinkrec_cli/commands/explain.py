"""`thinkrec explain`: model, pairs of user and item -> explanation."""

from typing import Annotated

import typer

from core.stages.explain import STAGE
from thinkrec_cli.options import parameter
from thinkrec_cli.pages.explain import explanation_json, show_explanation
from thinkrec_cli.stage_command import Shape, stage_command

DETAILS = """
Gives the answer and its probability, the reason the model writes, the route through the experts,
and how much every item of the history moved the score.
"""
EXAMPLES = (
    "thinkrec explain --user 42 --item 17",
    "thinkrec explain --user 42 --item 17 --show-prompt",
    "thinkrec explain --pairs pairs.csv --no-influence",
    "thinkrec explain --scorer thinkrec --sample 200",
)

_PROMPT = parameter(
    "show_prompt",
    Annotated[
        bool,
        typer.Option("--show-prompt", help="Also print the exact prompt and its token ids."),
    ],
    False,
)

command = stage_command(
    STAGE, Shape(extras=(_PROMPT,), present=show_explanation, as_json=explanation_json)
)

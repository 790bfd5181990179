"""`thinkrec fuse`: experts, encoder -> model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from core.stages.base import Context, Outcome
from core.stages.fuse import STAGE
from thinkrec_cli.options import parameter
from thinkrec_cli.session import Session
from thinkrec_cli.stage_command import Done, Shape, stage_command

DETAILS = """
Weighs the experts for every user by how near the user is to each group, decides the user's route
(one expert, the global adapter, or a mixture), and trains the projector that lets the language
model read vectors.
"""
EXAMPLES = ("thinkrec fuse", "thinkrec fuse --export-user 42 adapter-of-42")

_EXPORT = parameter(
    "export_user",
    Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--export-user",
            metavar="USER DIR",
            help="Also write this user's fused adapter as a plain PEFT folder.",
        ),
    ],
    None,
)


def _latest_model(
    context: Context, values: Mapping[str, Any], piped: Sequence[str]
) -> Outcome | None:
    """Export from the model that is there, when nothing but the export was asked for."""
    if not values["export_user"]:
        return None
    models = [a for a in map(context.store.resolve, piped) if a.kind == "model"]
    models = models or ([] if piped else context.store.artifacts("model"))
    return Outcome(artifact=models[-1], hit=True) if models else None


def _export(session: Session, done: Done) -> None:
    if wanted := done.extras["export_user"]:
        from core.stages.fuse import export_user

        user, folder = wanted
        export_user(done.context, done.outcome.artifact, user, folder)
        session.say(f"adapter of user {user}: {folder}")


command = stage_command(STAGE, Shape(extras=(_EXPORT,), act=_export, instead=_latest_model))

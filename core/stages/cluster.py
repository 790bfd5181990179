"""thinkrec cluster: group users by their collaborative vectors."""

import json

from core.config.cluster import ClusterConfig
from core.errors import EmptySplitError, MismatchError
from core.stages.base import Input, Stage, Work
from core.stages.encode import has_vectors
from core.stages.kinds import GROUPS


def make(work: Work[ClusterConfig]) -> None:
    """Group, describe, draw."""
    import numpy as np

    from core.data.tables import read_table, write_table
    from core.fusion.groups import group_users
    from core.fusion.picture import draw, project

    encoder, config, folder = work.input("encoder"), work.config, work.draft.folder
    facts = json.loads(encoder.file("encoder.json").read_text())
    if not facts["dim"]:
        raise MismatchError(
            f"{encoder.reference} is a {facts['encoder']} model, which has no user vectors to group by",
            hint="Name an encoder with vectors: thinkrec encode --encoder sasrec.",
        )
    table = read_table(encoder.file("user_vectors.parquet"))
    trained = np.flatnonzero(table["trained"])
    if not len(trained):
        raise EmptySplitError(
            f"no user of {encoder.reference} has train rows, so there is nobody to group",
            hint="Choose another split in ingest.",
        )
    vectors = np.array([table["vector"][index] for index in trained], dtype=np.float32)
    groups = group_users(vectors, config)
    places, axes = project(vectors, config.projection, config.seed)
    write_table(
        folder / "groups.parquet",
        {
            "user": [table["user"][index] for index in trained],
            "user_index": table["user_index"][trained],
            "group": groups.group,
            "x": places[:, 0],
            "y": places[:, 1],
        },
        GROUPS.payload("groups.parquet").columns,
    )
    write_table(
        folder / "representations.parquet",
        {"group": np.arange(groups.k), "users": groups.sizes, "vector": groups.representations},
        GROUPS.payload("representations.parquet").columns,
    )
    summary = {
        "encoder": facts["encoder"],
        "method": config.method,
        "k": groups.k,
        "sizes": groups.sizes,
        "cohens_d": groups.cohens_d,
        "silhouettes": {str(count): score for count, score in groups.silhouettes.items()},
        "projection": axes,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    title = f"{len(trained)} users in {groups.k} groups by {facts['encoder']} vectors"
    picture = draw(places, groups.group, title=title, axes=axes)
    (folder / "picture.svg").write_text(picture, encoding="utf-8")
    work.draft.summary.update(summary, seed=config.seed, device="cpu", dtype="float64")
    work.progress.say(f"{title}: {', '.join(map(str, groups.sizes))} users")


STAGE = Stage(
    command="cluster",
    kind="groups",
    config=ClusterConfig,
    make=make,
    inputs={
        "encoder": Input(
            kinds=("encoder",), text="Encoder whose user vectors are grouped.", fits=has_vectors
        )
    },
    name=lambda config, inputs: f"{inputs['encoder'][0].name}-{config.k or 'auto'}",
)

"""thinkrec encode: train a collaborative encoder."""

from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.store import Artifact
from core.config.encode import EncodeConfig
from core.stages.base import Input, Stage, Work
from core.stages.kinds import ENCODER

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.encoders.base import Encoder
    from core.encoders.course import Training
    from core.encoders.search import Found


def make(work: Work[EncodeConfig]) -> None:
    """Train once, or search, then write weights, vectors and the course of the training."""
    from core.data.dataset import Dataset
    from core.data.histories import Histories
    from core.encoders.load import make_encoder, save_encoder

    dataset = Dataset.open(work.input("dataset").folder)
    histories = Histories.of(dataset)
    folder = work.draft.folder
    if work.config.search:
        from core.encoders.search import search

        found = search(work.config, dataset, histories, work.run_folder, work.progress)
        encoder, training = found.encoder, found.training
        write_trials(folder, work.config.encoder, found)
        work.draft.summary.update(trials=len(found.trials), best_trial=found.best.trial)
    else:
        encoder = make_encoder(work.config, dataset, histories)
        training = encoder.fit(work.run_folder, work.progress)
    save_encoder(folder, encoder, dataset, training)
    write_vectors(folder, encoder, dataset)
    write_epochs(folder, training)
    settings = encoder.config.resolved()
    work.draft.summary.update(
        encoder=settings.encoder,
        dim=encoder.dim,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        device=str(getattr(encoder, "device", "cpu")),
        dtype="float64" if encoder.dim == 0 else "float32",
        epochs=len(training.epochs),
        best_epoch=training.best_epoch,
        valid_auc=training.valid_auc,
    )


def write_vectors(folder: Path, encoder: "Encoder", dataset: "Dataset") -> None:
    """Write user_vectors.parquet and item_vectors.parquet."""
    import numpy as np

    from core.data.tables import write_table

    train = dataset.rows("train")
    tables = (
        ("user", dataset.users, dataset.user, encoder.user_vectors()),
        ("item", dataset.items, dataset.item, encoder.item_vectors()),
    )
    for what, names, index, vectors in tables:
        seen = np.bincount(index[train], minlength=len(names)) > 0
        columns = {
            what: names,
            f"{what}_index": np.arange(len(names)),
            "trained": seen & (encoder.dim > 0),
            "vector": vectors,
        }
        path = f"{what}_vectors.parquet"
        write_table(folder / path, columns, ENCODER.payload(path).columns)


def write_epochs(folder: Path, training: "Training") -> None:
    """Write epochs.parquet."""
    from dataclasses import asdict

    from core.data.tables import write_table

    types = ENCODER.payload("epochs.parquet").columns
    epochs = [asdict(epoch) for epoch in training.epochs]
    columns = {name: [epoch[name] for epoch in epochs] for name in types}
    write_table(folder / "epochs.parquet", columns, types)


def write_trials(folder: Path, encoder: str, found: "Found") -> None:
    """Write trials.parquet: one row per combination that a search trained."""
    from dataclasses import asdict

    from core.data.tables import write_table

    types = ENCODER.payload("trials.parquet").columns
    rows = [
        {"encoder": encoder, **asdict(trial), "best": trial is found.best} for trial in found.trials
    ]
    columns = {name: [row[name] for row in rows] for name in types}
    write_table(folder / "trials.parquet", columns, types)


def has_vectors(artifact: Artifact) -> bool:
    """Whether an encoder has user and item vectors; the counts of bias are none."""
    return artifact.manifest.parameters.get("encoder") != "bias"


STAGE = Stage(
    command="encode",
    kind="encoder",
    config=EncodeConfig,
    make=make,
    inputs={"dataset": Input(kinds=("dataset",), text="Data set to train on.")},
    name=lambda config, inputs: config.encoder,
)

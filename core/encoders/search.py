"""The search for the best settings of an encoder: every combination of a grid, one after the other.

A trial is one training, kept by its best valid AUC; the best of all trials is what the search gives. Whatever is done
stays done: after each trial its line is added to the journal, and the best model so far lies in a folder beside it. A
trial that was under way goes on from its own checkpoint. Trials share nothing but the data, each has the seed of the
settings, so a search that was killed ends like one that was not.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from core.config.encode import EncodeConfig
from core.data.dataset import Dataset
from core.data.histories import Histories
from core.encoders.base import Encoder
from core.encoders.course import Epoch, Training
from core.encoders.load import make_encoder, open_encoder, save_encoder
from core.encoders.metric import has_both_labels, valid_uauc
from core.errors import EmptySplitError, TrainingDivergedError
from core.files import sync
from core.progress import Progress

JOURNAL = "trials.json"
COURSE = "course.json"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One combination of settings and how it did."""

    trial: int
    """1.., in the order of the grid."""
    learning_rate: float
    dim: int
    weight_decay: float
    status: Literal["done", "diverged"]
    epochs: int
    best_epoch: int
    valid_auc: float | None
    """None if the training diverged."""
    valid_uauc: float | None
    seconds: float
    """Seconds of training and validating, without the time in which a killed search stood still."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search gave."""

    encoder: Encoder
    training: Training
    trials: list[Trial]
    best: Trial


def search(
    config: EncodeConfig,
    dataset: Dataset,
    histories: Histories,
    run_folder: Path,
    progress: Progress,
) -> Found:
    """Train the trials that are left and return the best of all.

    Raises: EmptySplitError if valid cannot tell trials apart, TrainingDivergedError if all diverged.
    """
    if not has_both_labels(dataset):
        raise EmptySplitError(
            "the valid rows do not hold both labels, so no trial can be better than another",
            hint="Choose another split in ingest, or encode without --search.",
        )
    return _Search(config, dataset, histories, run_folder, progress).run()


class _Search:
    """The state of one search: its folder, and the trials that are done."""

    def __init__(
        self,
        config: EncodeConfig,
        dataset: Dataset,
        histories: Histories,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._grid = config.trials()
        self._name, self._device = config.encoder, config.device
        self._dataset, self._histories = dataset, histories
        self._folder, self._progress = folder, progress
        self._done: list[Trial] = []

    def run(self) -> Found:
        self._done = _read_journal(self._folder / JOURNAL)
        left = self._grid[len(self._done) :]
        if self._done:
            self._progress.say(
                f"search {self._name}: {len(self._done)} of {len(self._grid)} trials were done before"
            )
        # Only what is left is counted, or the time left would be reckoned from work of an earlier run.
        with self._progress.bar(f"search {self._name}", len(left), "trials") as bar:
            for number, config in enumerate(left, start=len(self._done) + 1):
                self._tidy()
                trial = self._train(number, config)
                self._done.append(trial)
                _write(self._folder / JOURNAL, [asdict(done) for done in self._done])
                self._say(trial)
                bar.advance(1, **self._figures())
        return self._result()

    def _train(self, number: int, config: EncodeConfig) -> Trial:
        """Train one trial, and keep its model if none before was better."""
        folder = self._folder / f"trial-{number}"
        folder.mkdir(exist_ok=True)
        encoder = make_encoder(config, self._dataset, self._histories)
        facts: dict[str, Any] = {
            "trial": number,
            "learning_rate": config.learning_rate,
            "dim": config.dim,
            "weight_decay": config.weight_decay,
        }
        try:
            course = encoder.fit(folder, self._progress)
            facts["valid_uauc"] = valid_uauc(self._dataset, encoder.score_rows)
        except TrainingDivergedError:
            nothing = {"epochs": 0, "best_epoch": 0, "valid_auc": None, "valid_uauc": None}
            return Trial(**facts | nothing, status="diverged", seconds=0.0)
        trial = Trial(
            **facts,
            status="done",
            epochs=len(course.epochs),
            best_epoch=course.best_epoch,
            valid_auc=course.valid_auc,
            seconds=sum(epoch.seconds for epoch in course.epochs),
        )
        if _best([*self._done, trial]) is trial:
            self._keep(trial, encoder, course)
        return trial

    def _keep(self, trial: Trial, encoder: Encoder, course: Training) -> None:
        folder = self._model_folder(trial)
        folder.mkdir(exist_ok=True)
        save_encoder(folder, encoder, self._dataset, course)
        _write(folder / COURSE, asdict(course))
        for path in folder.iterdir():
            sync(path)

    def _model_folder(self, trial: Trial) -> Path:
        return self._folder / f"best-{trial.trial}"

    def _tidy(self) -> None:
        """Remove what finished trials left behind, but for the best model."""
        best = _best(self._done)
        for trial in self._done:
            shutil.rmtree(self._folder / f"trial-{trial.trial}", ignore_errors=True)
            if trial is not best:
                shutil.rmtree(self._model_folder(trial), ignore_errors=True)

    def _result(self) -> Found:
        best = _best(self._done)
        if best is None:
            raise TrainingDivergedError(
                f"all {len(self._done)} trials of the search diverged",
                hint="Search lower learning rates: --search-learning-rates 1e-4.",
            )
        folder = self._model_folder(best)
        course = json.loads((folder / COURSE).read_text())
        self._progress.say(f"search {self._name}: best of {len(self._done)} is {_words(best)}")
        return Found(
            encoder=open_encoder(folder, self._dataset, self._histories, device=self._device),
            training=Training(
                epochs=[Epoch(**epoch) for epoch in course["epochs"]],
                best_epoch=course["best_epoch"],
            ),
            trials=self._done,
            best=best,
        )

    def _say(self, trial: Trial) -> None:
        self._progress.say(f"trial {trial.trial}/{len(self._grid)}: {_words(trial)}")

    def _figures(self) -> dict[str, float | str]:
        best = _best(self._done)
        return {} if best is None or best.valid_auc is None else {"best": round(best.valid_auc, 4)}


def _best(trials: list[Trial]) -> Trial | None:
    """Return the trial of the highest valid AUC, the earliest of several; None if all diverged."""
    ranked = [trial for trial in trials if trial.valid_auc is not None]
    return max(ranked, key=lambda trial: trial.valid_auc or 0.0, default=None)


def _words(trial: Trial) -> str:
    settings = (
        f"learning rate {trial.learning_rate:g}, dim {trial.dim}, "
        f"weight decay {trial.weight_decay:g}"
    )
    if trial.valid_auc is None:
        return f"{settings}: diverged"
    uauc = "" if trial.valid_uauc is None else f", UAUC {trial.valid_uauc:.4f}"
    return (
        f"{settings}: valid AUC {trial.valid_auc:.4f}{uauc} "
        f"in epoch {trial.best_epoch} of {trial.epochs}, {trial.seconds:.1f} s"
    )


def _read_journal(path: Path) -> list[Trial]:
    return [Trial(**trial) for trial in json.loads(path.read_text())] if path.exists() else []


def _write(path: Path, content: Any) -> None:
    """Replace a file as a whole, so that a kill leaves the old one or the new one."""
    scratch = path.with_suffix(".partial")
    with scratch.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)  # noqa: PTH105  (the atomic form, spelled as in the store)

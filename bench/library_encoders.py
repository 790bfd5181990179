"""Our encoders, the paper's figures, and a published library's models on the very same rows of MovieLens-1M.

    python -m bench.library_encoders --path FOLDER [--work DIR] [--markdown results/ml-1m-encoders.md]

FOLDER holds ratings.dat and movies.dat. Ours run as their recipes say. The library (RecBole) is installed into an
environment of its own, gets the train rows, chooses its settings by the valid rows, and scores the test rows; the
metrics are this project's for all. WORK keeps environment, store and scores, so that a second run is short.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from artifacts.store import Artifact, Store
from bench.process import peer_python
from core.data.dataset import SPLITS, Dataset
from core.data.histories import Histories
from core.data.tables import read_table
from core.evaluation.auc import auc_statistic
from core.evaluation.intervals import resample
from core.evaluation.paper import ENCODERS, paper_row
from core.evaluation.rows import ScoredRows
from core.evaluation.uauc import uauc_statistic
from core.llm.device import describe_machine
from core.stages.base import Context
from core.stages.kinds import KINDS
from core.stages.recipe import load_recipe
from core.stages.recipe_run import run_recipe

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ("bias", "mf", "lightgcn", "sasrec", "gsasrec")
PACKAGES = ("recbole==1.2.1", "torch==2.13.0", "numpy==1.26.4", "pandas==2.2.3", "scipy==1.13.1")
LIBRARY = {
    "FM": "factorisation machine over user and item (matrix factorisation with biases), BCE on the label",
    "SASRec": "as published: which item is liked next, cross entropy over all items",
}
HISTORY = 25
NOTHING = "[none]"
"""The library needs a history; this stands for the empty one."""
SAMPLES = 1000
HEAD = [
    "model",
    "AUC",
    "UAUC",
    "paper AUC",
    "paper UAUC",
    "AUC, warm rows",
    "valid AUC",
    "settings",
]


@dataclass(frozen=True)
class Line:
    """One scorer over the test rows."""

    model: str
    score: Any
    valid_auc: float
    settings: str
    method: str | None = None
    """Row of the paper's table it is compared with."""

    def cells(self, dataset: Dataset) -> list[str]:
        """Return the row as text."""
        rows = dataset.rows("test")
        warm = dataset.warm[rows]
        auc, uauc = _measured(dataset, rows, self.score)
        warm_auc, _ = _measured(dataset, rows[warm], self.score[warm])
        paper = paper_row(self.method) if self.method else None
        theirs = [f"{paper.figures[m]:.4f}" if paper else "-" for m in ("auc", "uauc")]
        return [self.model, auc, uauc, *theirs, warm_auc, f"{self.valid_auc:.4f}", self.settings]


def ours(context: Context, path: Path) -> tuple[Dataset, list[Line]]:
    """Run the recipes; return the data set and a line for each encoder."""
    lines = []
    for name in RECIPES:
        recipe = load_recipe(ROOT / f"recipes/ml-1m/{name}.toml", [f"data.path={path}"])
        made = {done.step.id: done.outcome.artifact for done in run_recipe(context, recipe)}
        dataset = Dataset.open(made["data"].folder)
        lines.append(_our_line(name, made[name], made[f"{name}-all-scores"], dataset))
    return dataset, lines


def _our_line(name: str, encoder: Artifact, scores: Artifact, dataset: Dataset) -> Line:
    table = read_table(scores.file("scores.parquet"), ["row", "score"])
    score = np.empty(len(dataset))
    score[table["row"]] = table["score"]
    facts = json.loads(encoder.file("encoder.json").read_text())
    chosen = facts["settings"]
    return Line(
        model=name,
        score=score[dataset.rows("test")],
        valid_auc=facts["valid_auc"],
        settings="counts alone"
        if name == "bias"
        else f"lr {chosen['learning_rate']:g}, dim {chosen['dim']}, wd {chosen['weight_decay']:g}",
        method=ENCODERS.get(name),
    )


def theirs(dataset: Dataset, work: Path) -> list[Line]:
    """Train the library's models in its own environment; return a line for each."""
    write_rows(dataset, work / "rows")
    python = peer_python("recbole", PACKAGES)
    lines = []
    for model, about in LIBRARY.items():
        if not (work / f"{model}.json").exists():
            script = str(ROOT / "bench" / "library_train.py")
            subprocess.run([python, script, str(work), model], check=True, cwd=work)
        chosen = json.loads((work / f"{model}.json").read_text())
        lines.append(
            Line(
                model=f"RecBole {model}: {about}",
                score=np.load(work / f"{model}.npz")["test"],
                valid_auc=chosen["valid_auc"],
                settings=f"lr {chosen['learning_rate']:g}, dim 64, wd {chosen['weight_decay']:g}",
            )
        )
    return lines


def write_rows(dataset: Dataset, folder: Path) -> None:
    """Write every split, and train's liked rows, as the library reads rows: in time order, each with its history."""
    folder.mkdir(parents=True, exist_ok=True)
    histories = Histories.of(dataset)
    splits = {name: dataset.rows(name) for name in SPLITS}
    splits["liked"] = splits["train"][dataset.label[splits["train"]] == 1]
    head = "user_id:token\titem_id:token\titem_id_list:token_seq\titem_length:float\tlabel:float"
    for name, rows in splits.items():
        lines = [head]
        for row, window in zip(rows, histories.windows(rows, HISTORY), strict=True):
            seen = [f"i{dataset.item[r]}" for r in window if r >= 0] or [NOTHING]
            lines.append(
                f"u{dataset.user[row]}\ti{dataset.item[row]}\t{' '.join(seen)}\t{len(seen)}"
                f"\t{dataset.label[row]}"
            )
        (folder / f"rows.{name}.inter").write_text("\n".join(lines) + "\n")


def _measured(dataset: Dataset, rows: Any, score: Any) -> tuple[str, str]:
    """Return AUC and UAUC, each with its 95 % interval by bootstrap over users."""
    chance = 1 / (1 + np.exp(-np.clip(score, -500, 500)))
    scored = ScoredRows.of(dataset.user[rows], dataset.label[rows], score, chance)
    statistics = (auc_statistic(scored), uauc_statistic(scored))
    drawn = resample(statistics, users=scored.users, rows=len(scored), samples=SAMPLES, seed=0)
    words = []
    for statistic, values in zip(statistics, drawn, strict=True):
        value = float(statistic(np.ones((1, scored.users)))[0])
        low, high = np.nanpercentile(values, [2.5, 97.5])
        words.append(f"{value:.4f} {low:.3f}-{high:.3f}")
    return words[0], words[1]


def page(dataset: Dataset, lines: Sequence[Line], seconds: float) -> str:
    """Return the result file."""
    counts = ", ".join(f"{len(dataset.rows(name)):,} {name}" for name in SPLITS)
    table = [HEAD, ["---"] * len(HEAD), *(line.cells(dataset) for line in lines)]
    return "\n".join(
        [
            "# Encoders on MovieLens-1M, the whole test split",
            "",
            "- command: `python -m bench.library_encoders --path FOLDER`",
            f"- data: MovieLens-1M, the paper's window: {counts} rows",
            "- seed: 0 everywhere; settings chosen on valid alone, test scored once at the end",
            "- tried: 54 settings of mf and lightgcn, 18 of sasrec and gsasrec (their recipes say which), "
            "6 of each of the library's",
            f"- program: {version('thinkrec')}; machine: {describe_machine('cpu')}",
            f"- library: {', '.join(PACKAGES)}, in an environment of its own",
            f"- time: {seconds:.0f} s",
            "",
            *("| " + " | ".join(cells) + " |" for cells in table),
            "",
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="library-encoders-"))
    work.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    context = Context(store=Store.open(work / "store", KINDS, program_version="bench"))
    dataset, lines = ours(context, given.path.resolve())
    lines += theirs(dataset, work.resolve())
    text = page(dataset, lines, time.perf_counter() - started)
    sys.stdout.write(text)
    if given.markdown:
        given.markdown.write_text(text)


if __name__ == "__main__":
    main()

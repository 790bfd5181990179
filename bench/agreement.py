"""How far our scores are from the plain path's, with a trained adapter and real rows.

    python -m bench.agreement --store DIR --scorer adapter/NAME [--rows 1500] [--device auto] [--no-plain]
        [--markdown PATH]

The plain path is transformers + PEFT in float32, padded batches of 16. Ours is measured in float32 and in the
number format that `score` takes there. --no-plain leaves the plain path out, which takes most of the time: then ours
in float32 stands in its place.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from artifacts.store import Store
from bench.peers import OneAdapter
from bench.table import Beside, Facts, Line, add_device, publish
from core.data.dataset import Dataset
from core.progress import Silent
from core.stages.ancestry import dataset_of
from core.stages.kinds import KINDS
from core.stages.scorers import Opening, open_language_scorer
from core.text.examples import Examples

ROWS = 1500


def measure(root: Path, reference: str, count: int, *, has_plain: bool, device: str) -> list[Line]:
    """Return the lines for so many test rows, user by user."""
    store = Store.open(root, KINDS, program_version="bench")
    artifact = store.resolve(reference)
    source = dataset_of(store, artifact)
    assert source is not None
    dataset = Dataset.open(source.folder)
    rows = dataset.rows("test")
    rows = rows[np.lexsort((rows, dataset.user[rows]))][:count]
    labels = dataset.label[rows]

    def ours(dtype: str) -> Any:
        opening = Opening(
            store=store,
            dataset=source,
            examples=Examples(dataset),
            dtype=dtype,
            device=device,
            progress=Silent(),
        )
        return open_language_scorer(artifact, opening)

    exact = ours("float32")
    scores = {"float32": exact.score_rows(rows).score, "auto": ours("auto").score_rows(rows).score}
    work = f"{reference}, {len(rows)} test rows"
    path, wanted, lines = "ours in float32", scores["float32"], []
    if has_plain:
        prompts = [
            exact.builder.build(example)
            for example in exact.examples.of_rows(rows, exact.builder.config.history_length)
        ]
        answers = exact.builder.answers
        path = "the plain path"
        place = exact.scorer.decoder.device
        wanted = OneAdapter(artifact.file("best"), answers, place, 16, "float32").score(prompts)
        lines.append(
            Line(
                work=f"largest difference of a score, float32, {work}",
                unit="",
                ours=float(np.abs(scores["float32"] - wanted).max()),
                smaller_is_better=True,
                at_least=1e-4,
            )
        )
    auc = roc_auc_score(labels, wanted)
    return [
        *lines,
        Line(
            # As what is missing: three figures of the correlation itself would round to 1.
            work=f"rank correlation with {path}, 1 less it, {work}",
            unit="",
            ours=1 - float(spearmanr(scores["auto"], wanted).statistic),
            smaller_is_better=True,
            at_least=0.001,
        ),
        Line(
            work=f"difference in AUC from {path}, {work}",
            unit="",
            ours=abs(float(roc_auc_score(labels, scores["auto"]) - auc)),
            peer=Beside(f"AUC of {path}", float(auc)),
            smaller_is_better=True,
            at_least=0.001,
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--scorer", required=True)
    parser.add_argument("--rows", type=int, default=ROWS)
    add_device(parser)
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    has_plain, device = not options.no_plain, options.device
    found = measure(options.store, options.scorer, options.rows, has_plain=has_plain, device=device)
    facts = Facts.of_run("bench.agreement", arguments, devices=[device])
    publish("Agreement with the plain path", found, facts, options.markdown)


if __name__ == "__main__":
    main()

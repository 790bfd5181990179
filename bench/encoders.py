"""Epochs of mf and lightgcn over many ratings, beside the plain products that such an epoch cannot do without.

    python -m bench.encoders [--rows 20000000] [--markdown PATH]

Of all rows 70 % are train rows. The limit of mf takes the vectors of every train row, multiplies them, and adds
gradients back, in the same batches, with neither loss nor optimizer. That of lightgcn is the same and, for every
batch, the products of the graph with the vectors of each layer, forwards and backwards. The peer of mf is the way
torch offers: embeddings, autograd and its usual Adam; that of lightgcn multiplies the graph with torch.sparse.
"""

import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch.nn import functional

from bench.prompts import synthetic_dataset
from bench.table import Beside, Line, run_alone
from core.config.encode import EncodeConfig
from core.data.dataset import Dataset
from core.data.histories import Histories
from core.encoders import lightgcn
from core.encoders.lightgcn import GraphModule
from core.encoders.load import make_encoder
from core.encoders.mf import FactorEncoder
from core.progress import Silent

ROWS, SHORT_ROWS = 20_000_000, 1_000_000
PEER_STEPS = 5
"""Steps that peers are measured by: each costs the same."""


def lines(short: bool) -> list[Line]:
    """Measure with the short or the full number of rows."""
    return measure(SHORT_ROWS if short else ROWS)


def measure(rows: int) -> list[Line]:
    """Return the lines for a number of rows."""
    _warm_up()
    dataset = synthetic_dataset(rows)
    histories = Histories.of(dataset)
    return [_factors(dataset, histories), _graph(dataset, histories)]


def _warm_up() -> None:
    """Train on few rows before anything is timed: what a first epoch imports, scikit-learn above all, takes seconds."""
    dataset = synthetic_dataset(10_000)
    _epoch_seconds(_encoder("mf", dataset, Histories.of(dataset)))


def _factors(dataset: Dataset, histories: Histories) -> Line:
    encoder = _encoder("mf", dataset, histories)
    ours = _epoch_seconds(encoder)
    limit = Beside("gathers, products, sums", _plain_seconds(encoder))
    return _line("mf", encoder, ours, _usual(encoder), limit)


def _usual(encoder: FactorEncoder) -> Beside:
    """Return the seconds of an epoch as torch's own parts do it, with the batches of ours."""
    dataset = encoder.dataset
    vectors = [
        torch.nn.Embedding(len(names), encoder.dim) for names in (dataset.users, dataset.items)
    ]
    biases = [torch.nn.Embedding(len(names), 1) for names in (dataset.users, dataset.items)]
    optimizer = torch.optim.Adam([e.weight for e in (*vectors, *biases)], lr=1e-3)
    batches = encoder.batches(np.random.default_rng(0))

    def step(batch: np.ndarray) -> None:
        places = [encoder.tensor(p[batch]) for p in (dataset.user, dataset.item)]
        own = [part(place) for part, place in zip(vectors, places, strict=True)]
        shift = [part(place)[:, 0] for part, place in zip(biases, places, strict=True)]
        logits = (own[0] * own[1]).sum(-1) + shift[0] + shift[1]
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(logits, encoder.labels(batch)).backward()
        optimizer.step()

    seconds = [_seconds(lambda b=batch: step(b), 0) for batch in batches[:PEER_STEPS]]  # type: ignore[misc]
    return Beside("torch's embeddings, autograd and Adam", len(batches) * float(np.median(seconds)))


def _graph(dataset: Dataset, histories: Histories) -> Line:
    encoder = _encoder("lightgcn", dataset, histories)
    module = encoder.module
    assert isinstance(module, GraphModule)
    steps = -(-len(encoder.train_rows) // encoder.batch_rows)
    ours = _epoch_seconds(encoder)
    layer = torch.cat([module.user, module.item]).detach()
    product = _seconds(lambda: module.graph @ layer)
    plain = _plain_seconds(encoder) + steps * 2 * module.layers * product
    limit = Beside("the same and the graph's products", plain)
    return _line("lightgcn", encoder, ours, _autograd(encoder, steps), limit)


def _autograd(encoder: FactorEncoder, steps: int) -> Beside:
    """Return the seconds of an epoch with the graph as sorted pairs and torch's own gradient."""
    module = encoder.module
    assert isinstance(module, GraphModule)
    module.graph = module.graph.to_sparse_coo()
    batches = encoder.batches(np.random.default_rng(0))[:PEER_STEPS]

    class Plain:
        """In place of our product."""

        apply = staticmethod(torch.sparse.mm)

    with mock.patch.object(lightgcn, "_Neighbours", Plain):
        seconds = [_seconds(lambda b=batch: encoder.loss(b).backward(), 0) for batch in batches]  # type: ignore[misc]
    return Beside("torch.sparse and autograd, pass without Adam", steps * float(np.median(seconds)))


def _encoder(name: str, dataset: Dataset, histories: Histories) -> FactorEncoder:
    made = make_encoder(EncodeConfig(encoder=name, epochs=1, device="cpu"), dataset, histories)
    assert isinstance(made, FactorEncoder)
    return made


def _epoch_seconds(encoder: FactorEncoder) -> float:
    """Return the seconds of one epoch, without its validation."""
    with tempfile.TemporaryDirectory() as folder:
        whole = encoder.fit(Path(folder), Silent()).epochs[0].seconds
    return whole - _seconds(encoder.valid_auc, 0)


def _plain_seconds(encoder: FactorEncoder) -> float:
    """Return the seconds of gathers, products and sums of gradients over all train rows."""
    dataset, width = encoder.dataset, encoder.dim
    vectors = [torch.randn(len(names), width) for names in (dataset.users, dataset.items)]
    sums = [torch.zeros_like(v) for v in vectors]
    batches = encoder.batches(np.random.default_rng(0))
    started = time.perf_counter()
    for batch in batches:
        places = [torch.from_numpy(p[batch].astype(np.int64)) for p in (dataset.user, dataset.item)]
        own = [v.index_select(0, p) for v, p in zip(vectors, places, strict=True)]
        product = (own[0] * own[1]).sum(1, keepdim=True)
        for total, place, other in zip(sums, places, reversed(own), strict=True):
            total.index_add_(0, place, product * other)
    return time.perf_counter() - started


def _seconds(work: object, warm: int = 1) -> float:
    assert callable(work)
    for _ in range(warm):
        work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _line(name: str, encoder: FactorEncoder, ours: float, peer: Beside, limit: Beside) -> Line:
    rows = len(encoder.train_rows)
    return Line(
        work=f"{name}, an epoch of {rows:,} rows, {encoder.batch_rows:,} a step",
        unit="s",
        ours=ours,
        peer=peer,
        limit=limit,
        smaller_is_better=True,
        share_at_least=0.5,
    )


if __name__ == "__main__":
    run_alone("bench.encoders", __doc__, measure, {"rows": ROWS})

"""A store to run language stages in: a small data set, what was made so far, and opening a scorer of it."""

from contextlib import contextmanager

from artifacts.store import Artifact, Store
from core.config.cluster import ClusterConfig
from core.config.encode import EncodeConfig
from core.data.dataset import Dataset
from core.progress import Silent
from core.stages import cluster, encode
from core.stages.base import Context, run_stage
from core.stages.kinds import KINDS
from core.stages.scorers import Opening, open_language_scorer
from core.text.examples import Examples
from tests.conftest import write_dataset

SHORT = {"train_rows": 60, "batch_size": 8, "eval_steps": 4, "valid_rows": 30, "dtype": "float32"}
PROJECTOR = {"train_rows": 40, "batch_size": 8, "eval_steps": 5, "valid_rows": 20}


class Killed(Exception):
    """Stands for a kill."""


class Watched(Silent):
    """Notes what was done when a training began, and kills the work of one title in its n-th step."""

    def __init__(self, title="", steps=0):
        self.title, self.left = title, steps
        self.done = {}

    @contextmanager
    def bar(self, title, total, unit, *, done=0):
        if title.startswith("train "):
            self.done[title] = done
        yield Counting(self, counts=title == self.title)


class Counting:
    """A bar of Watched."""

    def __init__(self, watched, *, counts):
        self.watched, self.counts = watched, counts

    def advance(self, amount=1, **figures):
        if self.counts:
            self.watched.left -= amount
            if self.watched.left == 0:
                raise Killed


class Made:
    """A store with one artifact of every stage."""

    def __init__(self, store: Store, base: str) -> None:
        self.store = store
        self.context = Context(store=store)
        self.base = base
        self.artifacts: dict[str, object] = {}

    def run(self, stage, config, **settings):
        outcome = run_stage(self.context, stage, config, **settings)
        self.artifacts[stage.kind] = outcome.artifact
        return outcome.artifact

    @property
    def by_model(self):
        """References of the model that most tests ask; the latest may be one of another test."""
        return {"scorer": [self.artifacts["model"].reference]}

    def __getitem__(self, kind):
        return self.artifacts[kind]


def grouped(folder, base) -> Made:
    """Make a store with the small data set, an encoder of it and two groups of its users."""
    store = Store.open(folder, KINDS, program_version="test")
    made = Made(store, str(base))
    made.artifacts["dataset"] = publish_dataset(store)
    made.run(encode.STAGE, EncodeConfig(encoder="mf", dim=8, epochs=5))
    made.run(cluster.STAGE, ClusterConfig(k=2))
    return made


def bias_encoder(made) -> Artifact:
    """Train the encoder of counts; the encoder of `made` stays the other."""
    data = {"dataset": [made["dataset"].reference]}
    config = EncodeConfig(encoder="bias")
    return run_stage(made.context, encode.STAGE, config, references=data, name="bias").artifact


def publish_dataset(store: Store) -> Artifact:
    """Publish the small data set."""
    key = store.key(kind="dataset", parameters={}, inputs={}, resources={})
    settings = {
        "kind": "dataset",
        "name": "toy",
        "key": key,
        "parameters": {},
        "inputs": {},
        "resources": {},
    }
    with store.publish(**settings) as draft:
        write_dataset(draft.folder)
    return draft.artifact


def opened(made, artifact):
    """Open the language scorer of an artifact on the data set of `made`."""
    return open_language_scorer(artifact, opening_of(made))


def opening_of(made):
    """Return how scorers are opened on the data set of `made`."""
    examples = Examples(Dataset.open(made["dataset"].folder))
    return Opening(
        store=made.store,
        dataset=made["dataset"],
        examples=examples,
        dtype="float32",
        device="cpu",
        progress=made.context.progress,
    )

"""What commands cost, counted rather than timed: passes over a file, tokens through layers, rows of logits, calls."""

from pathlib import Path

import numpy as np
import pytest

from artifacts.store import Store
from bench.ratings import Ratings
from core.config.ingest import IngestConfig
from core.config.prompt import PromptConfig
from core.config.training import LossConfig
from core.llm.decoder import Decoder
from core.llm.load import load_base
from core.stages import ingest
from core.stages.base import Context, run_stage
from core.stages.kinds import KINDS
from core.text.examples import Examples
from core.text.prompts import PromptBuilder
from core.training.instances import reasoning_instances, recommendation_instances
from core.training.language import LanguageLoss
from core.training.lora import LoraSettings, attach, select_layers
from tests.core.llm.tiny import tiny_folder  # noqa: F401

PROCESS = Path("/proc/self/io")


@pytest.mark.skipif(not PROCESS.exists(), reason="only Linux says what a process has read")
def test_ingest_reads_a_large_file_less_than_three_times(tmp_path):
    def read_so_far():
        return int(PROCESS.read_text().splitlines()[0].split()[1])

    context = Context(store=Store.open(tmp_path / "store", KINDS, program_version="test"))
    for rows in (1000, 150_000):  # the small one loads libraries, which are read, too
        file = tmp_path / f"{rows}.csv"
        Ratings(rows).write(file)
        before = read_so_far()
        config = IngestConfig(source="table", interactions=str(file))
        run_stage(context, ingest.STAGE, config, name=f"rows-{rows}")
    # Once to learn its columns from a part, once to load it, once for its sha256.
    assert read_so_far() - before < 3 * file.stat().st_size


@pytest.fixture
def prompts(tiny_folder, dataset):  # noqa: F811
    base = load_base(str(tiny_folder), dtype="float32", device="cpu")
    return base, PromptBuilder(base.tokenizer, dataset, PromptConfig(history_length=4))


class Counting:
    """A tokenizer that counts how often it is asked to encode."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self._tokenizer(*args, **kwargs)

    def encode(self, *args, **kwargs):
        self.calls += 1
        return self._tokenizer.encode(*args, **kwargs)


def test_prompts_of_known_items_ask_the_tokenizer_for_nothing(prompts, dataset):
    base, _ = prompts
    counting = Counting(base.tokenizer)
    builder = PromptBuilder(counting, dataset, PromptConfig(style="paper", history_length=4))
    examples = Examples(dataset).of_rows(dataset.rows("train"), 4)
    first = [builder.build(example).ids for example in examples]
    before = counting.calls
    assert [builder.build(example).ids for example in examples] == first
    assert counting.calls == before


def test_training_runs_frozen_layers_once_and_gives_logits_to_answers_only(prompts, dataset):
    base, builder = prompts
    model = attach(
        base.model, LoraSettings(rank=2, alpha=4, dropout=0.0, target_modules=("q_proj",)), 0
    )
    select_layers(model, 2)
    decoder = Decoder(model.get_base_model())
    below, answered = [], []
    run, logits = decoder.run, decoder.logits

    def counted_run(hidden, layout, **where):
        if where.get("stop"):
            below.append(len(hidden))
        return run(hidden, layout, **where)

    def counted_logits(hidden, *tokens):
        found = logits(hidden, *tokens)
        answered.append(tuple(found.shape))
        return found

    decoder.run, decoder.logits = counted_run, counted_logits
    rows = dataset.rows("train")[:6]
    examples = Examples(dataset)
    instances = recommendation_instances(examples, builder, rows)
    instances += reasoning_instances(examples, builder, {int(rows[0]): "It is a fine film."})
    loss = LanguageLoss(
        decoder=decoder,
        instances=instances,
        answers=builder.answers,
        config=LossConfig(),
        frozen_layers=2,
        cache_bytes=10_000_000,
    )
    for _ in range(3):
        losses, tokens = loss(np.arange(len(instances)))
        losses.total.backward()
        assert tokens == sum(one.tokens for one in instances)  # no padding
    assert sum(below) == sum(one.tokens for one in instances)
    # Yes and No once for each instance, all words at the places of an answer only.
    whole = (sum(len(one.answer) for one in instances), len(base.tokenizer))
    assert answered == [(len(instances), 2), whole] * 3

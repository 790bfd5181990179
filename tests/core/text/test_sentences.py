"""Sentences of counts: ids put together from parts are those of the whole sentence, and parts are encoded once."""

from collections import Counter

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from core.config.prompt import PromptConfig
from core.data.dataset import Dataset
from core.text.evidence import item_sentence, user_sentence
from core.text.examples import Examples
from core.text.plain import PlainEncoder
from core.text.prompts import PromptBuilder
from core.text.sentences import SentenceEncoder
from tests.core.llm.tiny import PLAIN_ADDED_TOKEN, tiny_tokenizer

CATEGORIES = [
    "Drama",
    "Sci-Fi",
    "Children's",
    "(none)",
    "Œuvre",
    "A, b",
    f"x{PLAIN_ADDED_TOKEN}y",
    "",
    "R&B !",
]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def _with_categories(dataset: Dataset) -> Dataset:
    shown = [[CATEGORIES[n % len(CATEGORIES)], "War"] for n in range(len(dataset.items))]
    return Dataset(**{**vars(dataset), "categories": shown})


def _greedy_tokenizer() -> PreTrainedTokenizerFast:
    """Merges "% of" into one token: cuts beside a mark change the ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("$^"), "isolated")
    trainer = trainers.BpeTrainer(vocab_size=120, show_progress=False)
    text = [f"This person enjoyed {n}% of {n} items; other people" for n in range(100)]
    tokenizer.train_from_iterator(text, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_parts_give_the_ids_of_the_whole_sentence_for_any_category(tokenizer, dataset):
    odd = _with_categories(dataset)
    examples = Examples(odd)
    builder = PromptBuilder(tokenizer, odd, PromptConfig())
    assert builder._sentences.joins
    for example in examples.of_rows(np.arange(len(odd)), 3):
        prompt = builder.build(example)
        line = tokenizer.encode("\n", add_special_tokens=False)
        for sentence in (user_sentence, item_sentence):
            whole = PlainEncoder(tokenizer).encode(sentence(example.evidence, example.position))
            found = " ".join(map(str, prompt.ids))
            assert " ".join(map(str, line + whole)) in found


def test_a_tokenizer_that_merges_over_the_cuts_gets_whole_sentences():
    tokenizer = _greedy_tokenizer()
    plain = PlainEncoder(tokenizer)
    sentences = SentenceEncoder(plain, [])
    parts = ["This person enjoyed", " 12", "% of", " 40", " items and"]
    assert [i for part in parts for i in plain.encode(part)] != plain.encode("".join(parts))
    assert not sentences.joins
    assert sentences.encode(parts) == plain.encode("".join(parts))


def test_calls_of_the_tokenizer_do_not_grow_with_the_rows(tokenizer, dataset, monkeypatch):
    examples = Examples(dataset)
    builder = PromptBuilder(tokenizer, dataset, PromptConfig())
    calls = []
    plain, encode = type(builder._plain), builder._plain.encode
    monkeypatch.setattr(plain, "encode", lambda self, text: calls.append(text) or encode(text))
    rows = np.arange(len(dataset))
    for example in examples.of_rows(rows, 5):
        builder.build(example)
    assert max(Counter(calls).values()) <= 3  # a title: liked, not liked, asked for
    titles_and_lines, numbers, words = 3 * len(dataset.items), 2 * (101 + 60), 30
    assert len(calls) < titles_and_lines + numbers + words
    seen = len(calls)
    for example in examples.of_rows(rows, 5):
        builder.build(example)
    assert len(calls) == seen  # nothing at all once every part is known

"""What stands around the questions: kept from training on, with what a tokenizer begins its texts with."""

import json
from pathlib import Path

import numpy as np
from tokenizers.processors import TemplateProcessing

from core.config.prompt import PromptConfig
from core.text.examples import Examples
from core.text.frame import Frame, frame_of
from core.text.prompts import PromptBuilder
from tests.core.llm.tiny import tiny_tokenizer

DATED = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }} "
    "({{ strftime_now('%H:%M:%S.%f') }})<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def test_a_template_that_tells_the_time_is_asked_once(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = DATED
    assert frame_of(tokenizer) != frame_of(tokenizer)
    path = tmp_path / "frame.json"
    first = Frame.kept(path, tokenizer)
    assert Frame.kept(path, tokenizer) == first == Frame.read(json.loads(path.read_text()))


def test_the_builder_uses_the_frame_it_is_given(dataset) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = DATED
    example = Examples(dataset).of_rows(np.array([500]), 3)[0]
    kept = frame_of(tokenizer)
    ids = [
        PromptBuilder(tokenizer, dataset, PromptConfig(), frame=kept).build(example).ids
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert tokenizer.decode(ids[0]).startswith(kept.head)


def test_without_a_template_the_tokenizers_beginning_stands_first_and_once(dataset) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    example = Examples(dataset).of_rows(np.array([500]), 3)[0]
    plain = PromptBuilder(tokenizer, dataset, PromptConfig()).build(example)
    assert begin not in plain.ids
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A {tokenizer.eos_token}",
        special_tokens=[(tokenizer.bos_token, begin), (tokenizer.eos_token, end)],
    )
    for soft in (0, 2):
        config = PromptConfig(soft_tokens=soft)
        prompt = PromptBuilder(tokenizer, dataset, config).build(example)
        assert prompt.ids[0] == begin
        assert prompt.ids.count(begin) == 1
        assert end not in prompt.ids
        assert len(prompt.ids) == len(plain.ids) + 1 + soft
        assert prompt.prefix == plain.prefix + 1 + soft

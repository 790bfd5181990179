"""A language model small enough for tests: a random Llama with a real byte-level BPE tokenizer.

Use it from any test module:

    from tests.core.llm.tiny import tiny_folder  # noqa: F401  (session fixture: a folder)
    from tests.core.llm.tiny import write_tiny_model  # to make one of your own
"""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PLAIN_ADDED_TOKEN = "<|reserved|>"
"""An added token that is not special: options about special tokens do not cover it."""
LAYERS = 4
HIDDEN = 32

_CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_CORPUS = [
    "Yes",
    "No",
    " Yes",
    " No",
    "Would the user enjoy this film? Yes. The user liked films of the same kind before.",
    "Would the user enjoy this film? No. The user disliked films of the same kind before.",
    "system\nuser\nassistant\nAnswer with Yes or No. Title, year, keywords: Action Comedy Drama",
    "Film 0 1 2 3 4 5 6 7 8 9, liked and disliked; the history, oldest first:",
]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Train a small byte-level BPE tokenizer; Yes, No, " Yes" and " No" are one token each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS * 4, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    fast.add_tokens([PLAIN_ADDED_TOKEN])
    fast.chat_template = _CHAT_TEMPLATE
    return fast


def write_tiny_model(folder: Path, *, seed: int = 0, layers: int = LAYERS) -> Path:
    """Save a random Llama and its tokenizer as a model folder; the same seed, the same weights.

    Args:
        folder: where to write config.json, model.safetensors, tokenizer.json and the rest.
        seed: of the weights; the caller's random state is left alone.
        layers: number of decoder layers.
    """
    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.2,  # wide enough that logits differ visibly between prompts
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model, one for the whole test session: read it, never write into it."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")

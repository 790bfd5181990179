"""The token budget of a batch, found by itself."""

from pathlib import Path

import pytest
import torch

from core.llm.decoder import Decoder
from core.scoring.budget import _free_bytes, token_budget
from tests.core.llm.adapters import open_tiny
from tests.core.llm.tiny import tiny_folder  # noqa: F401


def test_budget_grows_with_memory_between_its_ends(tiny_folder):  # noqa: F811
    decoder = Decoder(open_tiny(tiny_folder))
    found = [token_budget(decoder, free_bytes=10**n) for n in range(3, 13)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (512, 4096)
    assert any(512 < tokens < 4096 for tokens in found)


def test_wider_layers_get_fewer_tokens(tiny_folder):  # noqa: F811
    decoder = Decoder(open_tiny(tiny_folder))
    before = token_budget(decoder, free_bytes=10**7)
    decoder.model.config.intermediate_size *= 8
    assert token_budget(decoder, free_bytes=10**7) < before


def test_memory_that_holds_read_files_counts_as_free():
    facts = dict(
        line.split(":") for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line
    )
    available = int(facts["MemAvailable"].split()[0]) * 1024
    assert _free_bytes(torch.device("cpu")) == pytest.approx(available, rel=0.2)


def test_budget_of_this_machine_is_one_that_it_has(tiny_folder):  # noqa: F811
    assert 512 <= token_budget(Decoder(open_tiny(tiny_folder))) <= 4096

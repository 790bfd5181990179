"""Where a LoRA may be put."""

import pytest
from torch import nn

from core.errors import ConfigError
from core.training.lora import LoraSettings, attach


class Model(nn.Module):
    """Two decoder layers of one linear layer, and a head above them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleDict({"q_proj": nn.Linear(2, 2)}) for _ in range(2))
        self.lm_head = nn.Linear(2, 2)


@pytest.mark.parametrize("targets", [["lm_head"], ["q_proj", "lm_head"], ["head.q_proj"], []])
def test_layers_that_would_not_train_are_refused_and_those_that_do_are_named(targets):
    settings = LoraSettings(rank=2, alpha=4, dropout=0.0, target_modules=targets)
    with pytest.raises(ConfigError, match="target_modules") as caught:
        attach(Model(), settings, 0)
    assert "q_proj" in caught.value.hint
    assert "lm_head" not in caught.value.hint

"""Write bleurt_golden.json: what the package bleurt-pytorch gives to the pairs and checkpoints of the tests.

    python -m tests.core.evaluation.bleurt_golden

in an environment with bleurt-pytorch==0.0.1 and transformers==4.46.3, the last line of transformers it works with.
"""

import json
import tempfile
from pathlib import Path

import torch

from tests.core.evaluation.checkpoints import EMBEDDING_SIZES, PAIRS, PLACES, write_checkpoint


def main() -> None:
    """Score the pairs with each checkpoint."""
    from bleurt_pytorch import BleurtForSequenceClassification, BleurtTokenizer

    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, size in EMBEDDING_SIZES.items():
            folder = write_checkpoint(Path(scratch) / name, embedding_size=size)
            model = BleurtForSequenceClassification.from_pretrained(folder).eval()
            read = BleurtTokenizer.from_pretrained(folder)(
                [reference for _, reference in PAIRS],
                [text for text, _ in PAIRS],
                padding="longest",
                truncation="longest_first",
                max_length=PLACES,
                return_tensors="pt",
            )
            with torch.no_grad():
                found[name] = model(**read).logits.flatten().tolist()
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

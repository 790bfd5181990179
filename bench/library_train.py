"""Train a published library's models on rows handed over as files. Runs in an environment of its own, without thinkrec.

    python library_train.py FOLDER MODEL

FOLDER/rows holds rows.train.inter, rows.valid.inter and rows.test.inter in the library's own format; what the model
says of the valid and test rows is written to FOLDER/MODEL.npz, of the setting whose valid AUC was best.
"""

import itertools
import json
import sys
from logging import ERROR, getLogger
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

LEARNING_RATES = (1e-2, 1e-3, 1e-4)
WEIGHT_DECAYS = (0.0, 1e-4)
COLUMNS = {
    "FM": ["user_id", "item_id", "label"],
    "SASRec": ["user_id", "item_id", "item_id_list", "item_length", "label"],
}
OWN = {
    "FM": {},
    # The paper's shape. The library trains it to name the next item among all, here the next liked one.
    "SASRec": {
        "n_layers": 2,
        "n_heads": 1,
        "hidden_size": 64,
        "inner_size": 64,
        "hidden_dropout_prob": 0.2,
        "attn_dropout_prob": 0.2,
        "loss_type": "CE",
        "train_neg_sample_args": None,
    },
}


def settings(folder: Path, model: str, learning_rate: float, weight_decay: float) -> dict:
    """Return the library's settings."""
    return {
        "data_path": str(folder),
        "benchmark_filename": ["liked" if model == "SASRec" else "train", "valid", "test"],
        "load_col": {"inter": COLUMNS[model]},
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "LABEL_FIELD": "label",
        "ITEM_LIST_LENGTH_FIELD": "item_length",
        "MAX_ITEM_LIST_LENGTH": 25,
        "alias_of_item_id": ["item_id_list"] if "item_id_list" in COLUMNS[model] else None,
        "embedding_size": 64,
        "train_batch_size": 1024,
        "eval_batch_size": 4096,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "epochs": 60,
        "stopping_step": 6,
        "eval_args": {
            "split": {"RS": [8, 1, 1]},
            "order": "TO",
            "group_by": None,
            "mode": "labeled",
        },
        "metrics": ["AUC", "LogLoss"],
        "valid_metric": "AUC",
        "checkpoint_dir": str(folder / "checkpoints"),
        "seed": 0,
        "use_gpu": False,
        "show_progress": False,
        **OWN[model],
    }


def fit(folder: Path, model: str, learning_rate: float, weight_decay: float) -> tuple:
    """Train once; returns valid AUC and the scores of valid and test."""
    config = Config(model, "rows", config_dict=settings(folder, model, learning_rate, weight_decay))
    init_seed(config["seed"], reproducibility=True)
    getLogger().setLevel(ERROR)
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    made = get_model(model)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, made)
    best, _ = trainer.fit(train, valid, saved=True, show_progress=False)
    # The library's own checkpoint, written by this very process.
    state = torch.load(trainer.saved_model_file, weights_only=False)
    made.load_state_dict(state["state_dict"])
    made.eval()
    return float(best), scores(made, valid.dataset), scores(made, test.dataset)


@torch.no_grad()
def scores(model: torch.nn.Module, dataset: object) -> np.ndarray:
    """Return the scores of the rows of a split in the order of its file."""
    rows = dataset.inter_feat
    pieces = [
        model.predict(Interaction(rows[at : at + 4096].interaction)).reshape(-1)
        for at in range(0, len(rows), 4096)
    ]
    return torch.cat(pieces).double().numpy()


def main(folder: Path, model: str) -> None:
    """Try a small grid, keep the best by valid AUC."""
    torch.set_num_threads(1)
    found = None
    for learning_rate, weight_decay in itertools.product(LEARNING_RATES, WEIGHT_DECAYS):
        auc, valid, test = fit(folder, model, learning_rate, weight_decay)
        print(f"{model} lr {learning_rate:g} wd {weight_decay:g}: valid AUC {auc:.4f}", flush=True)
        if found is None or auc > found[0]:
            found = auc, valid, test, {"learning_rate": learning_rate, "weight_decay": weight_decay}
    auc, valid, test, chosen = found
    np.savez(folder / f"{model}.npz", valid=valid, test=test)
    (folder / f"{model}.json").write_text(json.dumps({"valid_auc": auc, **chosen}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

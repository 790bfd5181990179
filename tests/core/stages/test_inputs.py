"""Which artifacts a stage takes where nobody names them."""

import pytest

from artifacts.errors import ArtifactNotFound
from artifacts.store import Artifact, Store
from core.config.synthesize import SynthesizeConfig
from core.data.tables import write_table
from core.stages import synthesize
from core.stages.base import Context, dataset_of, plan_stage
from core.stages.kinds import KEYWORDS, KINDS
from tests.conftest import write_dataset


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", KINDS, program_version="test")


def published(store: Store, kind: str, name: str, inputs: dict[str, list[str]]) -> Artifact:
    settings = {"kind": kind, "parameters": {"name": name}, "inputs": inputs, "resources": {}}
    with store.publish(name=name, key=store.key(**settings), **settings) as draft:
        if kind == "dataset":
            write_dataset(draft.folder)
        else:
            write_table(
                draft.folder / "keywords.parquet",
                {"item": ["a"], "item_index": [0], "keywords": [["b"]]},
                KEYWORDS.payload("keywords.parquet").columns,
            )
    return draft.artifact


def test_an_artifact_whose_data_set_is_gone_is_no_default_and_stops_no_other_data_set(store):
    whole = published(store, "dataset", "whole", {})
    words = published(store, "keywords", "whole", {"dataset": [whole.object_id]})
    lost = published(store, "dataset", "lost", {})
    orphan = published(store, "keywords", "lost", {"dataset": [lost.object_id]})
    (store.root / "refs/dataset/lost/00000001.json").unlink()
    context = Context(store=Store.open(store.root, KINDS, program_version="test"))
    config = SynthesizeConfig()
    plan = plan_stage(context, synthesize.STAGE, config, references={})
    assert {name: list(given) for name, given in plan.inputs.items()} == {
        "dataset": [whole],
        "keywords": [words],
    }
    with pytest.raises(ArtifactNotFound, match="keywords/lost@1 cannot be traced to its dataset"):
        plan_stage(context, synthesize.STAGE, config, references={"keywords": [orphan.reference]})


def test_a_data_set_is_found_beside_an_input_that_is_gone(store):
    whole = published(store, "dataset", "whole", {})
    inputs = {"a": ["0" * 64], "dataset": [whole.object_id]}
    assert dataset_of(store, _unchecked(store, inputs)) == whole


def _unchecked(store: Store, inputs: dict[str, list[str]]) -> Artifact:
    """Publish keywords of an input that is there only until they are published."""
    folder = store.root / "objects" / "keywords" / inputs["a"][0]
    folder.mkdir(parents=True)
    artifact = published(store, "keywords", "k", inputs)
    folder.rmdir()
    return artifact

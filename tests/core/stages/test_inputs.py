"""Which artifacts a stage takes where nobody names them."""

from dataclasses import replace

import pytest

from artifacts.errors import ArtifactNotFound, CorruptArtifact
from artifacts.keys import check_name
from artifacts.kinds import Kind, Kinds
from artifacts.store import Artifact, Store
from core.config.synthesize import SynthesizeConfig
from core.data.tables import write_table
from core.errors import ConfigError
from core.stages import score, synthesize
from core.stages.ancestry import dataset_of
from core.stages.base import (
    Context,
    Input,
    Unnamed,
    plan_stage,
    resolve_inputs,
    run_stage,
)
from core.stages.commands import load_stage
from core.stages.kinds import KEYWORDS, KINDS
from core.stages.names import fitting_name, slug
from core.stages.recipe import read_recipe
from core.stages.recipe_run import plan_recipe
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


def test_what_is_piped_and_does_not_fit_is_not_passed_over_for_another(store):
    data = published(store, "dataset", "whole", {})
    first = published(store, "keywords", "first", {"dataset": [data.object_id]})
    second = published(store, "keywords", "second", {"dataset": [data.object_id]})
    stage = replace(
        synthesize.STAGE,
        inputs={"keywords": Input(kinds=("keywords",), text="", fits=lambda a: a.name == "first")},
    )

    def chosen(*piped: Artifact) -> list[Artifact]:
        unnamed = Unnamed(piped=[a.reference for a in piped])
        return resolve_inputs(store, stage, {}, unnamed)["keywords"]

    assert chosen() == [first]
    assert chosen(first, second) == [first]
    assert chosen(second) == [second]  # the stage refuses it, and says why


def test_what_is_typed_is_taken_beside_what_is_named_or_refused(store):
    data = published(store, "dataset", "whole", {})
    other = published(store, "dataset", "other", {})
    a, b = (
        published(store, "keywords", name, {"dataset": [data.object_id]}) for name in ("a", "b")
    )
    many = Input(kinds=("keywords",), text="", many=True)
    stage = replace(
        synthesize.STAGE, inputs={"dataset": synthesize.STAGE.inputs["dataset"], "keywords": many}
    )

    def chosen(named: dict[str, list[str]], *typed: Artifact) -> list[Artifact]:
        unnamed = Unnamed(listed=[one.reference for one in typed])
        return resolve_inputs(store, stage, named, unnamed)["keywords"]

    assert chosen({"keywords": [a.reference]}, b) == [a, b]
    assert chosen({"keywords": [a.reference]}, a) == [a]
    assert chosen({}, a, b) == [a, b]
    with pytest.raises(ConfigError, match=r"dataset/other@1 was named.*beside dataset/whole@1"):
        chosen({"dataset": [data.reference]}, a, other)
    with pytest.raises(ConfigError, match=r"dataset/whole@1 was named.*beside dataset/other@1"):
        chosen({}, data, other)


def test_several_names_for_an_input_that_takes_one_are_refused(store):
    with pytest.raises(ConfigError, match="scorer takes one artifact, and 2 were named"):
        resolve_inputs(store, score.STAGE, {"scorer": ["encoder/a", "encoder/b"]}, Unnamed())


@pytest.fixture
def family(tmp_path):
    """A store with one empty artifact of every kind, each made from those it would be made from."""
    empty = [Kind(name=name, schema_version=1, payloads=(), about="") for name in KINDS.names()]
    store = Store.open(tmp_path / "family", Kinds(*empty), program_version="test")
    made: dict[str, Artifact] = {}
    for kind, parents in (
        ("dataset", ()),
        ("keywords", ("dataset",)),
        ("traces", ("dataset", "keywords")),
        ("encoder", ("dataset",)),
        ("groups", ("encoder",)),
        ("adapter", ("dataset", "keywords", "traces", "encoder")),
        ("experts", ("adapter", "groups")),
        ("model", ("experts", "encoder", "dataset")),
    ):
        inputs = {parent: [made[parent].object_id] for parent in parents}
        settings = {"kind": kind, "parameters": {}, "inputs": inputs, "resources": {}}
        with store.publish(name="one", key=store.key(**settings), **settings) as draft:
            pass
        made[kind] = draft.artifact
    return store


@pytest.mark.parametrize(
    ("command", "scorer", "settings", "inputs"),
    [
        ("score", "model", {}, {"keywords"}),
        ("score", "model", {"user": "u1"}, {"encoder", "keywords"}),
        ("score", "adapter", {}, {"keywords"}),
        ("score", "encoder", {}, set()),
        ("explain", "model", {"user": "u1", "item": "i1"}, {"keywords"}),
        ("explain", "model", {"sample": 3}, {"traces", "keywords"}),
        ("explain", "adapter", {"user": "u1", "item": "i1"}, {"keywords"}),
    ],
)
def test_a_step_of_a_recipe_has_the_key_of_the_command_that_is_typed(
    family, command, scorer, settings, inputs
):
    context, stage, reference = Context(store=family), load_stage(command), f"{scorer}/one@1"
    step = {"command": command, "scorer": reference, **settings}
    (planned,) = plan_recipe(context, read_recipe({"step": {"one": step}}, where="test"))
    typed = plan_stage(context, stage, stage.config(**settings), references={"scorer": [reference]})
    assert {name for name, given in typed.inputs.items() if given} == {"scorer", "dataset", *inputs}
    assert planned.key == typed.key


def test_names_made_of_others_fit_the_store_and_stay_apart():
    user, item = "mh_-eMZ6K5RLWhZyISBhwA", "XQfwVwDr-v0ZS3_CbbE5Xw"
    long = [f"thinkrec-{slug(u)}-{slug(item)}" for u in (user, user.lower())]
    names = [fitting_name(name) for name in long]
    assert max(map(len, long)) > 64
    assert [check_name(name) for name in names] == names
    assert len(set(names)) == 2
    assert fitting_name("thinkrec-42-17") == "thinkrec-42-17"


def test_a_damaged_input_is_to_blame_for_what_nobody_foresaw(store):
    dataset = published(store, "dataset", "films", {})
    path = dataset.folder / "interactions.parquet"
    whole = path.read_bytes()
    path.chmod(0o644)
    half = len(whole) // 2
    path.write_bytes(whole[:4] + b"\0" * (half - 4) + whole[half:])
    config = SynthesizeConfig(rows=5, held_out=0)
    given = {"dataset": [dataset.reference]}
    with pytest.raises(CorruptArtifact, match=r"dataset/films@1: interactions\.parquet") as caught:
        run_stage(Context(store=store), synthesize.STAGE, config, references=given)
    assert "thinkrec verify dataset/films@1" in caught.value.hint

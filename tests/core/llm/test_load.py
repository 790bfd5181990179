"""Opening base models: real folders, real weights."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import ConfigError, ModelFolderError
from core.llm.device import describe_machine, pick_device, pick_dtype
from core.llm.identity import _HUB_FILES, _TWICE, base_folder
from core.llm.load import base_digest, load_base
from core.memory import keep_few_kernels, keep_freed_memory
from tests.core.llm.tiny import tiny_folder, write_tiny_model

__all__ = ["tiny_folder"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKREC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_folder_opens_frozen_and_in_evaluation_mode(tiny_folder: Path) -> None:
    base = load_base(str(tiny_folder), dtype="float32", device="cpu")
    assert base.dtype == next(base.model.parameters()).dtype == torch.float32
    assert not base.model.training
    assert not any(parameter.requires_grad for parameter in base.model.parameters())
    assert base.tokenizer.is_fast
    weights = load_file(tiny_folder / "model.safetensors")
    torch.testing.assert_close(
        base.model.get_input_embeddings().weight.data, weights["model.embed_tokens.weight"]
    )


def test_folder_is_found_again_from_another_working_folder(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_folder.parent)
    found = load_base("./model", device="cpu")
    assert found.spec == str(model_folder.resolve())
    monkeypatch.chdir("/")
    assert load_base(found.spec, device="cpu").digest == found.digest


def test_digest_of_planning_is_the_digest_of_the_loaded_model(tiny_folder: Path) -> None:
    assert base_digest(str(tiny_folder)) == load_base(str(tiny_folder), device="cpu").digest


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_digest_changes_with_every_file_that_matters(model_folder: Path, name: str) -> None:
    before = base_digest(str(model_folder))
    if name == "model.safetensors":
        weights = load_file(model_folder / name)
        weights["model.norm.weight"][0] += 1
        save_file(weights, model_folder / name, metadata={"format": "pt"})
    else:
        (model_folder / name).write_text((model_folder / name).read_text() + "\n")
    assert base_digest(str(model_folder)) != before


def test_digest_ignores_where_the_folder_lies_and_what_else_is_in_it(model_folder: Path) -> None:
    before = base_digest(str(model_folder))
    copy = shutil.copytree(model_folder, model_folder.parent / "copy")
    (copy / "README.md").write_text("notes")
    (copy / "consolidated.safetensors").write_bytes(b"the same weights in Mistral's own format")
    assert base_digest(str(copy)) == before


def test_digest_of_a_resource_needs_no_fetching(tmp_path: Path) -> None:
    assert len(base_digest("smollm2-135m-instruct")) == 64
    assert not (tmp_path / "cache").exists()


def test_digest_does_not_import_torch() -> None:
    code = (
        "import sys; from core.llm.identity import base_digest;"
        "base_digest('smollm2-135m-instruct'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", "weights"),
        ("tokenizer.json", "tokenizer"),
    ],
)
def test_folder_that_lacks_a_part_is_refused_by_name(
    model_folder: Path, gone: str, named: str
) -> None:
    (model_folder / gone).unlink()
    with pytest.raises(ModelFolderError, match=named) as caught:
        load_base(str(model_folder))
    assert caught.value.hint


def test_empty_folder_lacks_everything(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"config\.json, weights .*, a tokenizer"):
        load_base(str(tmp_path))


def test_adapter_folder_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelFolderError) as caught:
        load_base(str(tmp_path))
    assert "adapter" in caught.value.hint


def test_missing_shard_is_named(model_folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (model_folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFolderError, match=r"model-00002\.safetensors"):
        load_base(str(model_folder))


def test_missing_weights_are_not_made_up(model_folder: Path) -> None:
    path = model_folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.norm.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match=r"model\.norm\.weight"):
        load_base(str(model_folder))


def test_truncated_weights_are_refused(model_folder: Path) -> None:
    path = model_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFolderError, match="cannot be opened"):
        load_base(str(model_folder))


def test_config_that_is_no_language_model_is_refused(model_folder: Path) -> None:
    (model_folder / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ModelFolderError, match="cannot be opened"):
        load_base(str(model_folder))


def test_name_that_is_nothing_lists_what_there_is() -> None:
    with pytest.raises(ModelFolderError) as caught:
        load_base("smollm")
    assert "smollm2-135m-instruct" in caught.value.hint


def test_path_that_does_not_exist_is_said_to_be_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="is not a folder"):
        load_base(str(tmp_path / "nowhere"))


def test_hub_id_without_a_network_says_what_was_tried(tmp_path: Path) -> None:
    code = (
        "from core.errors import ResourceFetchError\n"
        "from core.llm.identity import base_digest\n"
        "try: base_digest('owner/model')\n"
        "except ResourceFetchError as problem: print(problem, problem.hint, sep='|')"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    problem, hint = output.strip().split("|")
    assert "no folder 'owner/model' here" in problem
    assert "smollm2-135m-instruct" in hint


def test_what_a_hub_model_lacks_here_is_fetched(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of the hub is made up: tests have no network."""
    weights = model_folder / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    asked_here_only = []

    def snapshot_download(_: str, *, local_files_only: bool = False, **__: object) -> str:
        asked_here_only.append(local_files_only)
        if not local_files_only:
            weights.write_bytes(content)
        return str(model_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert base_folder("owner/model") == model_folder
    assert asked_here_only == [True, False]
    assert base_folder("owner/model") == model_folder
    assert asked_here_only == [True, False, True]


def test_weights_are_fetched_once() -> None:
    from huggingface_hub.utils import filter_repo_objects

    wanted = ["config.json", "model-00001-of-00002.safetensors", "chat_template.jinja"]
    twice = ["consolidated.safetensors", "onnx/model.safetensors", "onnx/config.json"]
    chosen = filter_repo_objects(
        [*wanted, *twice], allow_patterns=_HUB_FILES, ignore_patterns=_TWICE
    )
    assert list(chosen) == wanted


def test_loading_prints_nothing_and_restores_the_verbosity_of_transformers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging as transformers_logging

    folder = write_tiny_model(tmp_path / "model")
    capfd.readouterr()
    transformers_logging.set_verbosity(logging.WARNING)
    load_base(str(folder), device="cpu")
    assert capfd.readouterr() == ("", "")
    assert transformers_logging.get_verbosity() == logging.WARNING
    assert transformers_logging.is_progress_bar_enabled()


def test_device_that_is_not_here_is_refused() -> None:
    for name in ("cuda:99", "toaster", "mps", "meta"):
        with pytest.raises(ConfigError, match=name):
            pick_device(name)


@pytest.mark.parametrize("native", [True, False])
def test_number_format_is_the_one_asked_for(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: native)
    cpu = torch.device("cpu")
    assert pick_dtype("float32", cpu) == torch.float32
    assert pick_dtype("bfloat16", cpu) == torch.bfloat16
    assert pick_dtype("auto", cpu) == (torch.bfloat16 if native else torch.float32)


def test_a_build_of_torch_without_onednn_takes_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(
    ("most", "kept"), [(64, {-3: 64, -1: 2047, -2: 64}), (32, {-3: 32, -1: 2047, -2: 64}), (0, {})]
)
def test_freed_memory_is_kept_as_far_as_the_c_library_lets(
    most: int, kept: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is made up: there is one here, and others let less be kept."""
    settings = {}

    def mallopt(name: int, size: int) -> int:
        if name == -3 and size > most << 20:
            return 0
        settings[name] = size >> 20
        return 1

    library = SimpleNamespace(gnu_get_libc_version=None, mallopt=mallopt)
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    keep_freed_memory()
    assert settings == kept


def test_few_kernels_are_kept_but_where_the_user_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    for said, kept in ((None, "64"), ("500", "500")):
        monkeypatch.delenv(name, raising=False)
        if said:
            monkeypatch.setenv(name, said)
        keep_few_kernels()
        assert os.environ[name] == kept


def test_machine_is_described_in_one_line() -> None:
    line = describe_machine("cpu")
    assert line.startswith("cpu ")
    assert torch.__version__ in line
    assert "\n" not in line

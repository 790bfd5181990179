"""A stranger's mistakes against the real program: what and where, what to do, an exit code, nothing lost.

Mistakes inside an input file are in tests/core/data/test_ingest_bad_input.py, downloads in
tests/core/resources, the mechanics of errors and signals in tests/cli/test_failures.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import environment, write_ratings
from tests.core.llm.tiny import tiny_folder  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

INGEST = ("ingest", "table", "--interactions", "ratings.csv", "--items", "movies.csv")
SHORT = "--train-rows 40 --valid-rows 0 --batch-size 4 --eval-steps 5 --checkpoint-steps 1"
TRAIN = ("train-global", "--base", "tiny", "--dtype", "float32", *SHORT.split())


def start(work: Path, *arguments: str, store: str = "store") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "thinkrec_cli", *arguments],
        cwd=work,
        env=environment(work / store, OMP_NUM_THREADS="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def thinkrec(work: Path, *arguments: str, store: str = "store") -> tuple[int, str, str]:
    process = start(work, *arguments, store=store)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def told(work: Path, *arguments: str, store: str = "store") -> tuple[int, str, str]:
    """Run what has to fail; return the exit code, the line of problem and the line of remedy."""
    code, out, err = thinkrec(work, *arguments, store=store)
    assert out == ""
    *before, problem, hint = err.splitlines()
    assert not [line for line in before if line.startswith(("error: ", "warning: ", "Trace"))], err
    assert problem.startswith("error: "), err
    assert hint.startswith("hint: "), err
    return code, problem.removeprefix("error: "), hint.removeprefix("hint: ")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:  # noqa: F811
    """A folder with ratings, a model, and a store with a data set, two encoders and scores."""
    folder = tmp_path_factory.mktemp("bad")
    write_ratings(folder, users=12, items=40, rows=400)
    (folder / "tiny").symlink_to(tiny_folder)
    for arguments in (
        INGEST,
        ("encode", "--encoder", "mf", "--epochs", "1", "--dim", "4"),
        ("encode", "--encoder", "bias"),
        ("score", "--scorer", "mf", "--split", "test"),
        ("score", "--scorer", "mf", "--split", "valid"),
    ):
        code, _, err = thinkrec(folder, *arguments)
        assert code == 0, err
    (folder / "settings.toml").write_text("epochz = 3\n")
    (folder / "latin.toml").write_bytes(b"name = '\xe9'\n")
    (folder / "key.toml").write_text('[step.a]\ncommand = "encode"\nencodr = "mf"\n')
    (folder / "value.toml").write_text('[step.a]\ncommand = "encode"\nencoder = "mff"\n')
    (folder / "user.csv").write_text("user,item\nu1,i1\nu33,i1\n")
    (folder / "history.csv").write_text("item,label\ni1,yes\nfilm 2,no\n")
    return folder


@pytest.mark.parametrize(
    ("line", "code", "problem", "hint"),
    [
        (
            "score --split nonsense",
            2,
            "'nonsense' is not one of 'train', 'valid', 'test'",
            "--help",
        ),
        ("encode --epochz 3", 2, "No such option: --epochz", "--epochs"),
        ("encde", 2, "No such command 'encde'", "Did you mean 'encode'?"),
        ("show encoder/mff", 3, "there is no artifact encoder/mff", "encoder/mf"),
        ("eval encoder/mf", 3, "encoder/mf@1 is of kind encoder", "thinkrec list --kind scores"),
        ("explain --user u1 --item i1 --scorer encoder/mf", 3, "of kind encoder", "--kind model"),
        ("score --scorer mf --user u33 --top 3", 20, "no user 'u33'", "u3"),
        ("score --scorer mf --pairs user.csv", 20, "no user 'u33'", "u3"),
        ("score --scorer mf --limit -1", 30, "limit is negative", "0 or more"),
        ("encode --encoder mf --learning-rate nan", 30, "learning_rate = nan", "number"),
        ("encode --seed -1", 30, "thinkrec encode: seed = -1 is below 0", "0 or more"),
        ("explain --user u1 --item i1 --max-new-tokens 0", 30, "max_new_tokens = 0", "1 or more"),
        (
            "ingest table --interactions ratings.csv --threshold inf",
            30,
            "threshold = inf",
            "number",
        ),
        ("cluster -k 50", 30, "50 groups cannot be made of 12 users", "-k 12"),
        ("encode --config settings.toml", 31, "settings.toml: unknown key 'epochz'", "'epochs'"),
        ("encode --config latin.toml", 12, "latin.toml is not UTF-8 text", "UTF-8"),
        ("encode --config .", 10, "cannot be read: Is a directory", "TOML file"),
        ("run key.toml", 32, "key.toml [step.a]: unknown key 'encodr'", "'encoder'"),
        ("run value.toml", 30, "value.toml [step.a]: encoder = 'mff'", "'mf'"),
        ("eval scores/mf-test scores/mf-valid", 33, "has 80 rows and", "same split"),
        ("eval scores/mf-test --report ratings.csv", 30, "ratings.csv: it is a file", "folder"),
        ("train-global --base movies.csv", 40, "movies.csv is not a folder", "save_pretrained"),
    ],
)
def test_a_mistake_is_told_in_two_lines(
    work: Path, line: str, code: int, problem: str, hint: str
) -> None:
    found = told(work, *line.split())
    assert found[0] == code, found
    assert problem in found[1]
    assert hint in found[2]


def test_the_latest_encoder_without_vectors_is_passed_over(work: Path) -> None:
    code, out, err = thinkrec(work, "cluster", "-k", "2")
    assert (code, out) == (0, "groups/mf-2@1\n"), err


def test_unfit_language_models_and_a_history_of_unknown_items(
    work: Path,
    tiny_folder: Path,  # noqa: F811
) -> None:
    def folder(name: str, file: str, change: Callable[[str], str]) -> str:
        shutil.copytree(tiny_folder, work / name)
        (work / name / file).write_text(change((work / name / file).read_text()))
        return name

    def without_answers(text: str) -> str:
        content = json.loads(text)
        model = content["model"]
        model["vocab"] = {
            f"{w}~" if w in ("Yes", "No") else w: i for w, i in model["vocab"].items()
        }
        parts = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
        model["merges"] = [p for p in parts if {*p, "".join(p)} <= set(model["vocab"])]
        return json.dumps(content)

    mute = folder("mute", "tokenizer.json", without_answers)
    code, problem, _ = told(work, *[mute if a == "tiny" else a for a in TRAIN])
    assert code == 41
    assert "does not write the answer 'Yes' as one token" in problem
    broken = folder("broken", "chat_template.jinja", lambda _: "{% if")
    code, problem, _ = told(work, *[broken if a == "tiny" else a for a in TRAIN])
    assert code == 40
    assert "chat template" in problem
    code, problem, hint = told(work, *TRAIN, "--target-modules", "q_prj")
    assert code == 30
    assert "no linear layer 'q_prj'" in problem
    assert "q_proj" in hint


def test_training_stopped_by_a_signal_goes_on_and_ends_as_if_it_had_not_been(work: Path) -> None:
    for store in ("straight", "stopped"):
        shutil.copytree(work / "store", work / store)
    assert thinkrec(work, *TRAIN, store="straight")[0] == 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start(work, *TRAIN, store="stopped")
        before = newest_checkpoint(work / "stopped")
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if newest_checkpoint(work / "stopped") > before:
                process.send_signal(number)
                break
            time.sleep(0.002)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (code, ""), err
        assert "the same command continues" in err.splitlines()[-1]
        assert "Traceback" not in err
    code, out, err = thinkrec(work, *TRAIN, store="stopped")
    assert (code, out) == (0, "adapter/global@1\n"), err
    assert "train global: resumed at step" in err
    assert weights(work, "stopped") == weights(work, "straight")
    code, problem, _ = told(
        work, "explain", "--item", "i1", "--history", "history.csv", store="stopped"
    )
    assert code == 21
    assert "no item 'film 2'" in problem


def newest_checkpoint(store: Path) -> int:
    """Step of the newest whole checkpoint of an adapter; 0 if there is none."""
    found = store.glob("runs/adapter-*/checkpoint-*")
    return max((int(folder.name.partition("-")[2]) for folder in found), default=0)


def weights(work: Path, store: str) -> list[str]:
    files = json.loads(thinkrec(work, "show", "adapter/global", "--json", store=store)[1])["files"]
    return [files[path]["sha256"] for path in sorted(files) if path.endswith(".safetensors")]


@pytest.mark.parametrize("change", ["cut short", "missing"])
def test_a_damaged_input_is_named(work: Path, tmp_path: Path, change: str) -> None:
    shutil.copytree(work / "store", tmp_path / "store")
    file = next((tmp_path / "store" / "objects" / "dataset").glob("*/interactions.parquet"))
    file.unlink()
    if change == "cut short":
        file.write_bytes(b"PAR1")
    (tmp_path / "ratings.csv").touch()
    code, problem, hint = told(tmp_path, "encode", "--encoder", "bias", "--weight-decay", "9")
    assert code == 6
    assert "dataset/table@1: interactions.parquet is" in problem
    assert "thinkrec verify" in hint


@pytest.mark.parametrize("store", ["ratings.csv", "tiny", "ratings.csv/store"])
def test_what_is_no_store_is_left_alone(work: Path, store: str) -> None:
    code, problem, hint = told(work, *INGEST, store=store)
    assert code == 9
    assert str(work / store) in problem
    assert "--store" in hint


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write all")
def test_a_store_to_read_from_can_be_read_and_is_not_written(work: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(work / "store", store)
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    # The superuser may write everywhere unless that right is taken away.
    plain = ["setpriv", "--bounding-set=-dac_override,-fowner"] if os.geteuid() == 0 else []

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*plain, sys.executable, "-m", "thinkrec_cli", *arguments],
            cwd=work,
            env=environment(store),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert run("sql", "select count(*) from artifacts", "--csv").returncode == 0
    hit = run("encode", "--encoder", "bias")
    assert (hit.returncode, hit.stdout) == (0, "encoder/bias@1\n")
    assert "warning" not in hit.stderr
    refused = run("encode", "--encoder", "bias", "--weight-decay", "9")
    assert refused.returncode == 10
    assert refused.stderr.startswith("error: Permission denied: ")
    for path in [store, *store.rglob("*")]:
        path.chmod(0o755)


@pytest.mark.parametrize(
    ("closed", "decay"), [("<&-", 5), (">&-", 6), ("2>&-", 7), ("<&- >&- 2>&-", 8)]
)
def test_closed_streams_do_no_harm(work: Path, tmp_path: Path, closed: str, decay: int) -> None:
    settings = f"--weight-decay {decay} --name closed"  # another each time: no hit, but real work
    done = subprocess.run(
        ["bash", "-c", f"thinkrec encode --encoder bias {settings} {closed}"],
        cwd=work,
        env=environment(tmp_path / "store", THINKREC_STORE=str(work / "store")),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1.5 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_and_the_same_command_goes_on(
    work: Path, small_disk: Path
) -> None:
    store = str(small_disk / "store")
    assert thinkrec(work, "--store", store, *INGEST)[0] == 0
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:  # until the disk is full
            file.write(bytes(65536))
    for command in (TRAIN, ("encode", "--encoder", "mf", "--epochs", "1")):
        code, problem, _ = told(work, "--store", store, *command)
        assert code == 70
        assert "no space left" in problem
    filler.unlink()
    assert thinkrec(work, "--store", store, "verify")[0] == 0
    code, out, err = thinkrec(
        work, "--store", store, "encode", "--encoder", "mf", "--epochs", "1", "--dim", "4"
    )
    assert (code, out) == (0, "encoder/mf@1\n"), err


def test_a_catalog_that_is_held_open_stops_nobody(work: Path) -> None:
    hold = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table mine as select 1');"
        " print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(work / "store" / "catalog.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    code, out, err = thinkrec(
        work, "encode", "--encoder", "bias", "--weight-decay", "7", "--name", "seven"
    )
    assert (code, out) == (0, "encoder/seven@1\n")
    assert "catalog.duckdb is open for writing in another program" in err
    query = "select count(*) as n from artifacts where name = 'seven'"
    assert json.loads(thinkrec(work, "sql", query, "--json")[1]) == [{"n": 1}]
    holder.communicate(timeout=60)
    assert thinkrec(work, "rebuild")[0] == 0

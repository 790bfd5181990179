"""Progress: bars on a terminal, now and then a line elsewhere, nothing when quiet."""

import io

import pytest
from rich.console import Console

from core.progress import Silent
from thinkrec_cli import console, progress
from thinkrec_cli.progress import BarProgress, LineProgress, Meter, duration, make_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to go on."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


def test_a_line_tells_count_share_rate_time_left_and_figures(clock):
    meter = Meter(title="train", total=1200, unit="steps", started=0.0)
    clock(100)
    meter.count(300, {"loss": 0.61234})
    assert meter.line() == "train: 300/1,200 steps (25%), 3/s, 5:00 min left  loss 0.6123"


def test_without_a_total_there_is_no_share(clock):
    meter = Meter(title="read", total=None, unit="rows", started=0.0)
    clock(2)
    meter.count(5000, {})
    assert meter.line() == "read: 5,000 rows, 2,500/s"


def test_a_log_gets_a_line_only_now_and_then(clock, capsys):
    with LineProgress().bar("train", 800, "steps") as bar:
        for _ in range(800):
            clock(0.125)
            bar.advance(1, loss=0.5)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("train: 80/800 steps (10%), 8/s, 1:30 min left")
    assert lines[-1] == "train: 800 steps in 1:40 min (8/s)  loss 0.5"


def test_work_of_an_earlier_run_counts_for_the_share_but_not_for_the_rate(clock, capsys):
    with LineProgress().bar("train", 125, "steps", done=25) as bar:
        clock(60)
        bar.advance(20)
        clock(240)
        bar.advance(80)
    assert capsys.readouterr().err.splitlines() == [
        "train: 45/125 steps (36%), 0.3333/s, 4:00 min left",
        "train: 100 steps in 5:00 min (0.3333/s)",
    ]


def test_short_work_leaves_no_trace_in_a_log(clock, capsys):
    with LineProgress().bar("quick", 10, "rows") as bar:
        bar.advance(10)
    assert capsys.readouterr().err == ""


def test_work_inside_other_work_is_not_summarised(clock, capsys):
    lines = LineProgress()
    with lines.bar("outer", 2, "epochs") as outer:
        with lines.bar("inner", 3, "rows") as inner:
            clock(5)
            inner.advance(3)
        outer.advance(2)
    assert capsys.readouterr().err == "outer: 2 epochs in 5.0 s (0.4/s)\n"


def test_work_that_failed_is_not_summarised(clock, capsys):
    def fail() -> None:
        with LineProgress().bar("train", 10, "steps") as bar:
            clock(60)
            bar.advance(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "in 1:00 min" not in capsys.readouterr().err


def test_bars_on_a_terminal_end_as_one_line(clock, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, highlight=False)
    monkeypatch.setattr(console, "errors", lambda: terminal)
    monkeypatch.setattr(console, "_may_have_styles", lambda stream: True)
    bars = BarProgress()
    with bars.bar("train [x]", 10, "steps") as outer, bars.bar("valid", None, "rows") as inner:
        inner.advance(4)
        clock(2)
        outer.advance(10, loss=0.25)
        bars.say("half way")
    shown = screen.getvalue()
    assert "half way" in shown
    assert "train [x]: 10 steps in 2.0 s (5/s)  loss 0.25" in shown


def test_quiet_is_silent():
    assert isinstance(make_progress(quiet=True), Silent)


def test_elsewhere_than_on_a_terminal_progress_is_lines():
    assert isinstance(make_progress(quiet=False), LineProgress)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (245, "4:05 min"), (3723, "1:02:03 h")],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words

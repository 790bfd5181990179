"""How the trainings in the lineage went: losses and validations."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.report.blocks import Block, Cell, Column, Picture, Section, Table, row_of
from core.evaluation.report.chart import Line, chart
from core.evaluation.report.material import Course, EncoderCourse, Material
from core.evaluation.report.numbers import NONE, count, figure

PARTS = (("loss of the answer", "rec_loss"), ("loss of the words", "think_loss"))
POINTS = 120
"""Most points of a loss curve: a line of more is noise on a page."""
_SHORTEST = 2
"""Epochs below which there is no curve to see."""


def training_section(material: Material) -> Section | None:
    """Return the curves of adapters, experts, projectors and encoders."""
    blocks: list[Block] = []
    for course in material.courses:
        blocks += _course_blocks(course)
    blocks += _encoder_blocks([e for e in material.encoders if len(e.epochs) >= _SHORTEST])
    if not blocks:
        return None
    lead = [
        "What was kept of each training is the step of the best AUC on the valid split. Loss of the words: of the "
        "answer as it was to be written, with its reason where an instance has one; it is measured where it weighs "
        "nothing, too."
    ]
    return Section(name="training", title="Training", lead=lead, blocks=blocks)


def _course_blocks(course: Course) -> list[Block]:
    stages = list(dict.fromkeys(row["stage"] for row in [*course.steps, *course.validations]))
    drawings = "".join(
        chart(title, _loss_lines(course, stages, part), along="step") for title, part in PARTS
    )
    title = "AUC and UAUC (dashed) on valid"
    drawings += chart(title, _valid_lines(course, stages), along="step")
    if not drawings:
        return []
    return [
        Picture(
            title=f"Training of {course.reference}",
            svg=drawings,
            table=_course_table(course, stages),
            source=course.reference,
            notes=[course.thrown_away] if course.thrown_away else [],
            legend="Losses: faint are the steps, strong is their running mean. Where there are more than "
            f"{POINTS} steps, each faint point is the mean of neighbours.",
        )
    ]


def _losses(course: Course, stage: str, part: str) -> list[tuple[float, float]]:
    """Return (step, loss) of a part of the loss; none if the part was not trained on."""
    points = [
        (row["step"], row[part])
        for row in course.steps
        if row["stage"] == stage and _known(row[part])
    ]
    return points if any(loss for _, loss in points) else []


def _loss_lines(course: Course, stages: Sequence[str], part: str) -> list[Line]:
    lines = []
    for index, stage in enumerate(stages):
        points = thinned(_losses(course, stage, part))
        lines.append(Line(name=stage, points=points, series=index, faint=True))
        lines.append(Line(name=stage, points=smoothed(points), series=index, dots=False))
    return lines


def _valid_lines(course: Course, stages: Sequence[str]) -> list[Line]:
    lines = []
    for index, stage in enumerate(stages):
        looks = [row for row in course.validations if row["stage"] == stage]
        kept = _kept(course, looks)
        lines += [
            Line(
                name=stage if metric == "auc" else f"{stage}, UAUC",
                points=[(row["step"], row[metric]) for row in looks if _known(row[metric])],
                series=index,
                dashed=metric == "uauc",
                named=metric == "auc",
                best=kept["step"] if kept else None,
            )
            for metric in ("auc", "uauc")
        ]
    return lines


def _kept(course: Course, looks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the last validation that was the best so far, None if nothing was kept."""
    if course.thrown_away:
        return None
    return next((row for row in reversed(looks) if row["best"]), None)


def _course_table(course: Course, stages: Sequence[str]) -> Table:
    rows = []
    for stage in stages:
        steps = [row for row in course.steps if row["stage"] == stage]
        kept = _kept(course, [row for row in course.validations if row["stage"] == stage])
        ends = []
        for _, part in PARTS:
            losses = [loss for _, loss in _losses(course, stage, part)]
            ends += [_mean(losses[: _tenth(losses)]), _mean(losses[-_tenth(losses) :])]
        rows.append(
            [
                Cell(text=stage),
                *row_of(count(len(steps)), count(sum(row["tokens"] for row in steps))),
                *(Cell(text=figure(end), value=end) for end in ends),
                Cell(text=NONE if kept is None else count(kept["step"])),
                *(_metric(kept, metric) for metric in ("auc", "uauc", "log_loss")),
                Cell(text=NONE if kept is None else count(kept["rows"])),
            ]
        )
    columns = [Column(text="stage", number=False)]
    columns += [Column(text="steps"), Column(text="tokens")]
    for title, _ in PARTS:
        columns += [Column(text=title, note="first tenth"), Column(text=title, note="last tenth")]
    columns += [Column(text="kept step"), Column(text="AUC", note="valid")]
    columns += [Column(text="UAUC", note="valid"), Column(text="log loss", note="valid")]
    columns += [Column(text="valid rows")]
    return Table(title="", columns=columns, rows=rows, source=course.reference)


def _tenth(values: Sequence[float]) -> int:
    return max(1, len(values) // 10)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _metric(row: Mapping[str, Any] | None, metric: str) -> Cell:
    if row is None or not _known(row[metric]):
        return Cell(text=NONE)
    return Cell(text=figure(row[metric]), value=row[metric])


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most POINTS points: each the mean of as many neighbours."""
    size = math.ceil(len(points) / POINTS)
    if size <= 1:
        return list(points)
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts
    ]


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return as many points: each the mean of a window around it, a tenth of all wide."""
    half = len(points) // 20
    out = []
    for index, (x, _) in enumerate(points):
        reach = min(half, index, len(points) - 1 - index)
        window = points[index - reach : index + reach + 1]
        out.append((x, sum(y for _, y in window) / len(window)))
    return out


def _encoder_blocks(encoders: Sequence[EncoderCourse]) -> list[Block]:
    if not encoders:
        return []
    losses, looks, rows = [], [], []
    for index, encoder in enumerate(encoders):
        known = [row for row in encoder.epochs if _known(row["valid_auc"])]
        best = max(known, key=lambda row: row["valid_auc"], default=None)
        trained = [(e["epoch"], e["train_loss"]) for e in encoder.epochs if _known(e["train_loss"])]
        losses.append(Line(name=encoder.reference, points=trained, series=index))
        looks.append(
            Line(
                name=encoder.reference,
                points=[(row["epoch"], row["valid_auc"]) for row in known],
                series=index,
                best=best["epoch"] if best else None,
            )
        )
        rows.append(
            [
                Cell(text=encoder.reference, code=True),
                Cell(text=count(len(encoder.epochs))),
                Cell(text=NONE if best is None else count(best["epoch"])),
                _metric(best, "valid_auc"),
            ]
        )
    columns = [
        Column(text="encoder", number=False),
        Column(text="epochs"),
        Column(text="best epoch"),
        Column(text="AUC", note="valid"),
    ]
    drawings = chart("training loss", losses, along="epoch")
    drawings += chart("AUC on valid", looks, along="epoch")
    table = Table(title="", columns=columns, rows=rows)
    return [Picture(title="Training of the encoders", svg=drawings, table=table)]

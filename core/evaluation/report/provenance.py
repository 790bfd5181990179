"""Where everything comes from: data set, commands, seeds, versions, machines."""

from core.evaluation.report.blocks import Cell, Column, Section, Table
from core.evaluation.report.material import Material, Origin
from core.evaluation.report.numbers import NONE

KEY_LETTERS = 12


def provenance_section(material: Material) -> Section:
    """Return the whole lineage as a table."""
    lead = [
        "Every number above names its artifact; these are all artifacts behind them. Settings that change "
        "no result (paths, threads, devices) are not part of a command.",
    ]
    columns = [
        Column(text="artifact", note="key", number=False),
        Column(text="command", note="made from", number=False),
        Column(text="seed"),
        Column(text="version", number=False),
        Column(text="machine", note="finished, UTC", number=False),
    ]
    table = Table(
        title="Artifacts",
        name="artifacts",
        columns=columns,
        rows=[_row(origin) for origin in material.origins],
    )
    return Section(name="origins", title="Where it comes from", lead=lead, blocks=[table])


def _row(origin: Origin) -> list[Cell]:
    return [
        Cell(text=origin.reference, note=origin.key[:KEY_LETTERS], code=True),
        Cell(text=origin.command, note=", ".join(origin.inputs), code=True),
        Cell(text=NONE if origin.seed is None else str(origin.seed)),
        Cell(text=origin.program_version),
        Cell(text=origin.machine or NONE, note=origin.finished[:16].replace("T", " ")),
    ]

"""The whole report, from what was gathered to what is shown."""

from core.evaluation.report.blocks import Report
from core.evaluation.report.comparison import comparison_section
from core.evaluation.report.findings import findings
from core.evaluation.report.lines import Lines
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import count
from core.evaluation.report.provenance import provenance_section
from core.evaluation.report.reliability import calibration_section
from core.evaluation.report.routing import routing_section
from core.evaluation.report.slices import slices_section
from core.evaluation.report.training import training_section
from core.evaluation.report.words import examples_section, reasons_section


def compose(material: Material) -> Report:
    """Return the report; parts for which there is nothing are left out."""
    sections = [
        comparison_section(material),
        calibration_section(material),
        slices_section(material),
        reasons_section(material),
        examples_section(material),
        routing_section(material),
        training_section(material),
        provenance_section(material),
    ]
    return Report(
        title=f"Evaluation on {material.dataset.reference}",
        facts=_facts(material),
        findings=findings(material),
        sections=[section for section in sections if section],
        command=material.command,
    )


def _facts(material: Material) -> list[tuple[str, str]]:
    lines = Lines(material)
    first = lines.get(lines.scorers[0], "auc")
    uauc = lines.get(lines.scorers[0], "uauc")
    known = material.facts
    data = material.dataset.reference
    if {"users", "items"} <= known.keys():
        data += f" ({count(known['users'])} users, {count(known['items'])} items)"
    facts = [("data set", data)]
    if first and uauc:
        whole = (known.get("splits") or {}).get(first["split"])
        of_all = f" of the {count(whole)}" if whole and whole != first["rows"] else ""
        facts.append(("rows measured", f"{count(first['rows'])}{of_all} of split {first['split']}"))
        facts.append(("users", count(uauc["users"] + uauc["users_left_out"])))
    if material.frozen:
        facts.append(("histories", "frozen before each user's first row of the split"))
    drawn = f"{count(material.samples)} draws of users, seed {material.seed}"
    facts.append(("intervals", f"95 %, {drawn}" if material.samples else "none"))
    facts.append(("program", f"thinkrec {material.program_version}"))
    facts.append(("measured on", material.machine))
    return facts

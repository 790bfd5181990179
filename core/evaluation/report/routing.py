"""Groups of users, and how the gate routed them."""

from collections.abc import Mapping

from core.evaluation.report import svg
from core.evaluation.report.blocks import (
    Block,
    Cell,
    Column,
    Image,
    Picture,
    Section,
    Table,
    row_of,
)
from core.evaluation.report.material import Gate, Groups, Material
from core.evaluation.report.numbers import NONE, count, figure, percent

MEANINGS = {
    "concentrated": "one expert alone",
    "averaged": "the global adapter",
    "fused": "a mixture of experts",
    "cold": "the global adapter: no vector of the user",
    "global": "the global adapter: a model without experts",
}
WIDTH, BAR, NAMES = 620.0, 22.0, 230.0


def routing_section(material: Material) -> Section | None:
    """Return groups and gates."""
    blocks: list[Block] = []
    for groups in material.groups:
        blocks += [
            groups_table(groups),
            Image(title="", svg=groups.picture, source=groups.reference),
        ]
    if material.gates:
        blocks.append(gate_picture(material.gates))
    if not blocks:
        return None
    lead = [
        "Users are grouped by their collaborative vectors; each group has an expert, and a gate decides per "
        "user whether one expert, the global adapter or a mixture answers.",
    ]
    return Section(name="groups", title="Groups and routes", lead=lead, blocks=blocks)


def groups_table(groups: Groups) -> Table:
    """Return how the groups were made, and how far apart they are."""
    facts = groups.facts
    distance = facts.get("cohens_d")
    sizes = ", ".join(count(size) for size in facts.get("sizes", ()))
    columns = [
        Column(text="grouped by", number=False),
        Column(text="method", number=False),
        Column(text="groups"),
        Column(text="users in them"),
        Column(text="Cohen's d"),
    ]
    row = [
        *row_of(facts.get("encoder", NONE), facts.get("method", NONE), facts.get("k", NONE), sizes),
        Cell(text=NONE if distance is None else f"{distance:.2f}", value=distance),
    ]
    return Table(title="Groups of users", columns=columns, rows=[row], source=groups.reference)


def gate_picture(gates: Mapping[str, Gate]) -> Picture:
    """Return the routes of every model as stacked bars and as a table."""
    routes = [r for r in MEANINGS if any(gate.users.get(r) for gate in gates.values())]
    content = []
    for row, (scorer, gate) in enumerate(gates.items()):
        content += _bar(scorer, gate, routes, 10 + row * (BAR + 12))
    bottom = 10 + len(gates) * (BAR + 12)
    x = NAMES
    for route in routes:
        index = list(MEANINGS).index(route)
        content += [
            svg.element("rect", x=x, y=bottom + 6, width=12, height=12, class_=_fill(index)),
            svg.text(route, x + 18, bottom + 16, class_="name"),
        ]
        x += 40 + 7.5 * len(route)
    told = "; ".join(f"{s}: {_shares(gate)}" for s, gate in gates.items())
    return Picture(
        title="Routes of the users",
        svg=svg.drawing(NAMES + WIDTH, bottom + 28, content, told),
        table=_table(gates, routes),
        notes=[f"{route}: {MEANINGS[route]}." for route in routes],
    )


def _fill(index: int) -> str:
    return f"fill {svg.series_class(index)}"


def _shares(gate: Gate) -> str:
    users = sum(gate.users.values())
    return ", ".join(f"{route} {percent(n / users)}" for route, n in gate.users.items())


def _bar(scorer: str, gate: Gate, routes: list[str], y: float) -> list[str]:
    name = svg.shortened(scorer, 34)
    content = [svg.text(name, NAMES - 14, y + 15, anchor="end", class_="name")]
    users, x = sum(gate.users.values()), NAMES
    for route in routes:
        number = gate.users.get(route, 0)
        if not number:
            continue
        width = (WIDTH - 20) * number / users
        told = svg.element("title", f"{route}: {count(number)} users")
        index = list(MEANINGS).index(route)
        content.append(
            svg.element("rect", told, x=x, y=y, width=width, height=BAR, class_=_fill(index))
        )
        x += width
    return content


def _table(gates: Mapping[str, Gate], routes: list[str]) -> Table:
    rows = []
    for scorer, gate in gates.items():
        users = sum(gate.users.values())
        shares = [gate.users.get(route, 0) for route in routes]
        weights = " / ".join(figure(float(weight)) for weight in gate.weights) or NONE
        rows.append(
            [
                Cell(text=scorer, note=gate.reference, code=True),
                *(Cell(text=count(n), note=percent(n / users) if users else "") for n in shares),
                Cell(text=weights),
                Cell(text=" / ".join(figure(b) for b in gate.facts.get("offsets", ())) or NONE),
                Cell(text=str(gate.facts.get("tau", NONE))),
                Cell(text=str(gate.facts.get("fusion", NONE))),
            ]
        )
    columns = [Column(text="scorer", note="model", number=False)]
    columns += [Column(text=route, note="users") for route in routes]
    columns += [
        Column(text="weights", note="mean of each expert"),
        Column(text="offsets", note="added to each"),
        Column(text="τ"),
        Column(text="fusion", number=False),
    ]
    return Table(title="", columns=columns, rows=rows)

"""The page of an explanation: answer, reason, route, and what in the history moved the score."""

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from core.config.training import chance_of
from core.stages.names import printable
from thinkrec_cli import console
from thinkrec_cli.pages.bars import bar, two_sided_bar

if TYPE_CHECKING:
    from artifacts.store import Artifact
    from thinkrec_cli.session import Session
    from thinkrec_cli.stage_command import Done

MOST_PAGES = 3
BAR_CELLS = 30
INFLUENCE_CELLS = 8  # on either side of the middle
LONGEST_TITLE = 120  # characters, as in a prompt

ROUTES = {
    "concentrated": "one expert answers alone",
    "averaged": "no expert stands out: the global adapter answers",
    "fused": "a mixture of the experts, weighed for this user",
    "cold": "a user without a vector: the global adapter answers",
    "global": "a model without experts: the global adapter answers",
}


def read_explanation(artifact: "Artifact") -> dict[str, Any]:
    """Return what the explanation says."""
    content: dict[str, Any] = json.loads(artifact.file("explanation.json").read_text("utf-8"))
    return content


def explanation_json(done: "Done") -> dict[str, Any]:
    """Return the explanation for programs."""
    artifact = done.outcome.artifact
    return {"reference": artifact.reference, **read_explanation(artifact)}


def show_explanation(session: "Session", done: "Done") -> None:
    """Show the page, and the prompt if it is wanted."""
    content = read_explanation(done.outcome.artifact)
    target = console.page(quiet=session.switches.quiet)
    render_explanation(target, content)
    if done.extras.get("show_prompt"):
        for one in content.get("explanations") or [content]:
            render_prompt(target, one)


def render_explanation(target: Console, content: Mapping[str, Any]) -> None:
    """Write the page (of a sample: the first few); a field that is missing leaves its part out."""
    pages = content.get("explanations") or [content]
    for page in pages[:MOST_PAGES]:
        title = _title(page.get("title") or f"item {page.get('item', '?')}")
        user = page.get("user")
        who = "somebody who is not in the data" if user is None else printable(f"user {user}")
        target.print()
        target.print(Rule(Text(f"{title}  ·  {who}", style="bold")))
        target.print(Padding(Group(*_parts(page)), (1, 2)))
        if user is not None and page.get("item") is not None:
            # Not folded: a command is there to be copied.
            target.print(_next(str(user), str(page["item"]), content), soft_wrap=True)
    if len(pages) > MOST_PAGES:
        target.print(Text(f"and {len(pages) - MOST_PAGES} more: --json shows all", "dim"))


def render_prompt(target: Console, content: Mapping[str, Any]) -> None:
    """Write the exact prompt and its token ids, as plain text."""
    target.print(Rule("prompt", style="dim"))
    target.print(Text(str(content.get("prompt", "(not recorded)"))), soft_wrap=True)
    ids = content.get("token_ids") or []
    target.print(Rule(f"{len(ids)} token ids", style="dim"))
    target.print(Text(" ".join(map(str, ids))), soft_wrap=True)


def _parts(content: Mapping[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = [_answer(content)]
    if reason := content.get("reason"):
        parts += [Text(), Text(printable(str(reason)))]
    if unread := content.get("unread"):
        told = printable(", ".join(map(str, unread)))
        parts.append(Text(f"! not in what the model read: {told}", style="yellow"))
    for sentence in content.get("evidence") or []:
        parts.append(Text(printable(f"· {sentence}"), style="dim"))
    if content.get("route") or content.get("weights"):
        parts += [Text(), *_route(content)]
    if history := content.get("history"):
        parts += [Text(), _history(history)]
    return parts


def _answer(content: Mapping[str, Any]) -> Text:
    answer, probability = content.get("answer"), content.get("probability")
    text = Text(str(answer or "?"), style="bold green" if answer == "Yes" else "bold red")
    if isinstance(probability, (int, float)):
        text.append("  ").append_text(bar(probability, BAR_CELLS, "green"))
        meaning = chance_of(content.get("relevance"))
        text.append(f"  {probability:.1%} {meaning}", style="default not bold")
    if isinstance(score := content.get("score"), (int, float)):
        text.append(f"  (score {score:+.3f})", style="dim")
    return text


def _route(content: Mapping[str, Any]) -> list[RenderableType]:
    route = str(content.get("route") or "")
    lines: list[RenderableType] = []
    if route:
        line = Text("route  ", style="bold").append(route, style="cyan")
        lines.append(line.append(f"  {ROUTES.get(route, '')}", style="dim"))
    for number, weight in enumerate(content.get("weights") or []):
        line = Text(f"expert {number}  ").append_text(bar(weight, BAR_CELLS, "cyan"))
        lines.append(line.append(f"  {weight:.3f}"))
    return lines


def _history(history: list[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("history, oldest first", overflow="fold", ratio=1)
    table.add_column("liked")
    if all(row.get("influence") is None for row in history):
        for row in history:
            table.add_row(*_told(row))
        return table
    table.add_column("against · for", no_wrap=True)
    table.add_column("influence", justify="right")
    influences = [row.get("influence") or 0.0 for row in history]
    largest = max((abs(value) for value in influences), default=0.0) or 1.0
    for row, influence in zip(history, influences, strict=True):
        table.add_row(
            *_told(row),
            two_sided_bar(influence / largest, INFLUENCE_CELLS),
            Text(f"{influence:+.3f}"),
        )
    return table


def _told(row: Mapping[str, Any]) -> tuple[Text, Text]:
    """Return title and label of a history item."""
    liked = row.get("label")
    label = Text("") if liked is None else Text("Yes", "green") if liked else Text("No", "red")
    title = Text(_title(str(row.get("title") or row.get("item") or "?")))
    if row.get("shown") is False:
        title.append("  (not shown to the model)", "dim")
    return title, label


def _title(text: str) -> str:
    return printable(text)[:LONGEST_TITLE]


def _next(user: str, item: str, content: Mapping[str, Any]) -> Text:
    """Return commands to go on with, which ask the same scorer in the same way; the latest may be others."""
    if not (user + item).isprintable():
        return Text()  # nobody can type such an id
    inputs = [
        word
        for name in ("scorer", "dataset", "keywords")
        if content.get(name)
        for word in (f"--{name}", str(content[name]))
    ]
    inputs += ["--same-users"] if content.get("same_users") else []
    best = ["thinkrec", "score", "--user", user, "--top", "10", *inputs]
    prompt = ["thinkrec", "explain", "--user", user, "--item", item, "--show-prompt", *inputs]
    text = Text("  next  ", style="bold")
    text.append(shlex.join(best), style="cyan")
    text.append("   the best items for this user\n        ", style="dim")
    text.append(shlex.join(prompt), style="cyan")
    return text.append("   what the model read\n", style="dim")

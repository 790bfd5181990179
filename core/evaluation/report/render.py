"""A report as HTML and as Markdown.

Titles, reasons and ids come from outside: HTML is escaped by Jinja2, Markdown by `finalize`, both everywhere.
"""

import base64
import re
from typing import Any

import jinja2
from markupsafe import Markup

from core.evaluation.report.blocks import Report, kind_of

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
"""Control characters, and those that turn the direction of text around."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#!~$&]|(?<=http):|(?<=https):|(?<=www)\.)", re.IGNORECASE)
"""What Markdown would take for its own, and where it would make links of addresses."""


def clean(value: Any) -> Any:
    """Return a text on one line, without characters that are no text; anything else as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _CONTROL.sub(" ", value).encode("utf-8", "replace").decode("utf-8")


def to_html(report: Report) -> str:
    """Return one page that needs nothing else: styles and drawings are inside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("core.evaluation.report"),
        autoescape=True,
        finalize=clean,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"drawing": Markup, "data_uri": _data_uri, "breakable": _breakable}
    environment.tests["kind"] = _is_kind
    return environment.get_template("report.html.j2").render(report=report) + "\n"


def to_markdown(report: Report) -> str:
    """Return the same as Markdown; drawings are left to their tables of numbers."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("core.evaluation.report"),
        autoescape=False,  # finalize escapes everything that is not Markup, for Markdown
        finalize=escape_markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": _code, "code_in_cell": _code_in_cell, "made": Markup}
    environment.tests["kind"] = _is_kind
    written = environment.get_template("report.md.j2").render(report=report)
    return re.sub(r"\n{3,}", "\n\n", written).strip() + "\n"


def escape_markdown(value: Any) -> Any:
    """Return a text that Markdown shows as it is, whatever stands in it."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MARKDOWN.sub(r"\\\1", clean(value))


def _code(value: str) -> Markup:
    """Return a code span, in more backticks than stand within."""
    shown = clean(value)
    if not shown.strip():
        return Markup("")
    fence = "`" * (1 + max(map(len, re.findall(r"`+", shown)), default=0))
    apart = " " if "`" in (shown[0], shown[-1]) else ""
    return Markup(f"{fence}{apart}{shown}{apart}{fence}")


def _code_in_cell(value: str) -> Markup:
    """Return a code span whose bars end no cell of a table."""
    return Markup(_code(value).replace("|", r"\|"))


def _breakable(value: str) -> Markup:
    """Return a reference that may go on in a new line after its kind."""
    return Markup("/<wbr>").join(clean(value).split("/"))  # join() escapes the parts


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")


def _is_kind(block: Any, kind: str) -> bool:
    return bool(kind_of(block) == kind)

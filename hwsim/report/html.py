"""A report as one self-contained page: no scripts, no outside files, pictures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from hwsim.report import summary, tables
from hwsim.report.result import Result
from hwsim.version import __version__

__all__ = ["Figure", "page", "table_html"]

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9e0; --dim: #5b6270; --back: #fff; --fore: #1b1e24; --band: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3f4a; --dim: #a0a6b3; --back: #15171c; --fore: #e6e8ec; --band: #1d2027; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fore); background: var(--back); max-width: 1180px; }
body { margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; } p.dim, li, summary { color: var(--dim); }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-size: 14px; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; } tr:nth-child(even) td { background: var(--band); }
td.right, th.right { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { min-width: 2.5rem; } td.long { min-width: 14rem; }
img { max-width: 100%; height: auto; margin: .4rem 0; background: #fff; border-radius: 4px; }
@media (max-width: 640px) { div.wide img { max-width: none; width: 860px; } body { margin: 1rem auto; } }
"""


_LONG = 30
"""Characters above which a cell keeps some width on a phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture with its heading; ``note`` says how to read it."""

    title: str
    png: bytes
    note: str = ""


def table_html(table: Table) -> str:
    """A terminal table as an HTML table."""
    align = ["right" if column.justify == "right" else "" for column in table.columns]
    cells = [[html.escape(str(cell)) for cell in column._cells] for column in table.columns]  # noqa: SLF001 (no getter)
    heads = "".join(
        f'<th class="{side}">{html.escape(str(column.header))}</th>'
        for side, column in zip(align, table.columns, strict=True)
    )
    align = [
        side or ("long" if any(len(cell) > _LONG for cell in column) else "")
        for side, column in zip(align, cells, strict=True)
    ]
    rows = "".join(
        "<tr>" + "".join(f'<td class="{side}">{cell}</td>' for side, cell in zip(align, row, strict=True)) + "</tr>"
        for row in zip(*cells, strict=True)
    )
    title = f"<h2>{html.escape(str(table.title))}</h2>" if table.title else ""
    head = f"<thead><tr>{heads}</tr></thead>" if table.show_header else ""
    return f'{title}<div class="wide"><table>{head}<tbody>{rows}</tbody></table></div>'


def _figure_html(figure: Figure) -> str:
    data = base64.b64encode(figure.png).decode("ascii")
    note = f'<p class="dim">{html.escape(figure.note)}</p>' if figure.note else ""
    image = f'<div class="wide"><img alt="{html.escape(figure.title)}" src="data:image/png;base64,{data}"></div>'
    return f"<h2>{html.escape(figure.title)}</h2>{note}{image}"


def page(title: str, results: Sequence[Result], figures: Sequence[Figure], note: str = "") -> str:
    """The whole page: summary, verdicts, pictures, where the time goes, what the figures rest on."""
    fidelity = results[0].basis.fidelity if results else ""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="dim">hwsim {__version__}; {html.escape(fidelity)}; ± is the expected error</p>',
    ]
    if note:
        parts.append(f"<p>{html.escape(note)}</p>")
    parts.append(table_html(tables.results_table("", results)))
    parts += [table_html(table) for table in summary.verdict_tables(results)]
    parts += [_figure_html(figure) for figure in figures]
    parts.append(table_html(tables.bottleneck_table(results)))
    parts.append("<h2>What the figures rest on</h2>")
    for result in results:
        first, *others = summary.summary_lines(result, whole=True)
        listed = "".join(f"<li>{html.escape(line.strip())}</li>" for line in others)
        parts.append(f"<details><summary>{html.escape(first)}</summary><ul>{listed}</ul></details>")
    parts.append("</body></html>\n")
    return "\n".join(parts)

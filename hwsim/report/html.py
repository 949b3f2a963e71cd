"""A report as one self-contained page: no scripts, no outside files, pictures inside."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from hwsim.report import summary, tables
from hwsim.report.result import Result
from hwsim.version import __version__

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["figure_html", "page", "table_html"]

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9e0; --dim: #667; --back: #fff; --fore: #1b1e24; --band: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3f4a; --dim: #a0a6b3; --back: #15171c; --fore: #e6e8ec; --band: #1d2027; }
  img { background: #fff; border-radius: 4px; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fore); background: var(--back); max-width: 1180px; }
body { margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p.dim, td.dim { color: var(--dim); } p { margin: .3rem 0; overflow-wrap: anywhere; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-size: 14px; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; } tr:nth-child(even) td { background: var(--band); }
td.right, th.right { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
img { max-width: 100%; height: auto; margin: .4rem 0; }
"""


def table_html(table: Table) -> str:
    """A terminal table as an HTML table."""
    align = ["right" if column.justify == "right" else "" for column in table.columns]
    cells = [[html.escape(str(cell)) for cell in column._cells] for column in table.columns]  # noqa: SLF001 (no getter)
    heads = "".join(
        f'<th class="{side}">{html.escape(str(column.header))}</th>'
        for side, column in zip(align, table.columns, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f'<td class="{side}">{cell}</td>' for side, cell in zip(align, row, strict=True)) + "</tr>"
        for row in zip(*cells, strict=True)
    )
    title = f"<h2>{html.escape(str(table.title))}</h2>" if table.title else ""
    return f'{title}<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def figure_html(ax: Axes, text: str) -> str:
    """A picture as an <img> that carries its own data."""
    from hwsim.report.plots import save

    buffer = io.BytesIO()
    save(ax, buffer)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def page(title: str, results: Sequence[Result], figures: Sequence[tuple[Axes, str]]) -> str:
    """The whole page: summary, verdicts, pictures, where the time goes, what the figures rest on."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="dim">hwsim {__version__}; {html.escape(results[0].basis.fidelity if results else "")}</p>',
        table_html(tables.results_table("", results)),
    ]
    parts += [table_html(table) for table in summary.verdict_tables(results)]
    parts += [f"<h2>{html.escape(text)}</h2>{figure_html(ax, text)}" for ax, text in figures]
    for result in results:
        parts.append(table_html(tables.bottleneck_table([result])))
        parts += [
            f'<p class="dim">{html.escape(line.strip())}</p>' for line in summary.summary_lines(result, whole=True)
        ]
    parts.append("</body></html>\n")
    return "\n".join(parts)

"""report.html: one file without external resources, made from results.json and the figures."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from dysonsim.reproduce.parts import AGREES, EXPECTED, LEVEL, SIGMAS, redraw, row_cells

STYLE = """
body { font: 17px/1.55 Georgia, 'Times New Roman', serif; color: #1c1c1c; background: #fff; max-width: 1040px;
  margin: 2.5em auto; padding: 0 1.2em; }
h1 { font-size: 1.9em; line-height: 1.2; margin-bottom: .2em; } h2 { margin-top: 2.2em; border-bottom: 1px solid #ccc; }
figure { margin: 1.4em 0; } figure img { width: 100%; height: auto; } figcaption { font-size: .93em; color: #333; }
table { border-collapse: collapse; font: 14px/1.4 Helvetica, Arial, sans-serif; margin: 1em 0; width: 100%; }
caption { text-align: left; caption-side: top; font: .93em/1.45 Georgia, serif; color: #333; padding-bottom: .5em; }
th { text-align: left; border-bottom: 2px solid #444; padding: .3em .6em; }
td { border-bottom: 1px solid #e3e3e3; padding: .28em .6em; vertical-align: top; font-variant-numeric: tabular-nums; }
pre { background: #f6f6f4; padding: .8em 1em; overflow-x: auto; font: 13px/1.45 Menlo, Consolas, monospace; }
code { font: .88em Menlo, Consolas, monospace; }
summary { cursor: pointer; font: 14px Helvetica, Arial, sans-serif; color: #24527a; }
.agrees { color: #1b6b34; } .expected { color: #8a5a00; } .disagrees { color: #b00020; font-weight: bold; }
.failed { border-left: 4px solid #b00020; padding-left: 1em; } .small { font-size: .9em; color: #555; }
.scroll { overflow-x: auto; }
"""


def render(results: dict[str, Any], folder: Path) -> str:
    """The whole page; figures are read from folder/figures and embedded."""
    body = [_head(results), _summary(results)]
    overview = results["parts"].get("overview")
    if overview is not None and overview["status"] == "ok":
        body.insert(1, "".join(_figure(figure, folder, results) for figure in overview["figures"]))
    for name, entry in results["parts"].items():
        if name != "overview" or entry["status"] == "failed":
            body.append(_part(entry, folder, results))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>dysonsim report</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _head(results: dict[str, Any]) -> str:
    run, machine = results["run"], results["run"]["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    seconds = run["seconds"]
    times = "; ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    incomplete = [e["title"] for e in results["parts"].values() if e["status"] != "ok"]
    state = "" if not incomplete else f'<p class="failed">Not complete: {escape(", ".join(incomplete))}.</p>'
    return (
        "<h1>Stochastic gradient descent against random matrix theory</h1><p>The simulations of "
        "arXiv:2412.20496 and the scaling study of arXiv:2407.16427, run anew: every number below comes "
        f"from networks trained for this report.</p><pre>{escape(results['command'])}</pre>{state}"
        f'<p class="small">{escape(versions)}. Started {run["started"]} on {escape(str(machine["processor"]))}, '
        f"{machine['cores']} cores, {escape(machine['system'])}. Times: {escape(times)}. "
        "All numbers: results.json beside this file.</p>"
    )


def _summary(results: dict[str, Any]) -> str:
    rows = results["summary"]
    if not rows:
        return ""
    counts = {
        verdict: sum(row["verdict"] == verdict for row in rows)
        for verdict in dict.fromkeys(r["verdict"] for r in rows)
    }
    counted = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    notes = list(dict.fromkeys(row["why"] for row in rows if row["why"]))
    lines = []
    for row in rows:
        style = {AGREES: "agrees", EXPECTED: "expected"}.get(row["verdict"], "disagrees")
        mark = f" <sup>{notes.index(row['why']) + 1}</sup>" if row["why"] else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in (row["quantity"], *row_cells(row)))
        lines.append(f'<tr>{cells}<td class="{style}">{escape(row["verdict"])}{mark}</td></tr>')
    remarks = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<h2>Summary</h2><p>{escape(counted)}. A number agrees within {SIGMAS:g} standard errors, a law "
        f"with p ≥ {LEVEL:g} (either is missed by chance once in a thousand rows); errors are statistical, "
        "from whole networks. Resampled p-values are at least 1/(draws + 1), which is 0.0005, or 10⁻⁵ where a law "
        "is claimed to hold.</p>"
        '<div class="scroll"><table><tr><th>quantity</th><th>measured</th><th>predicted</th><th>deviation</th>'
        f'<th>verdict</th></tr>{"".join(lines)}</table></div><ol class="small">{remarks}</ol>'
    )


def _part(entry: dict[str, Any], folder: Path, results: dict[str, Any]) -> str:
    parts = [f"<h2>{escape(entry['title'])}</h2>"]
    if entry["status"] == "not run":
        return parts[0] + "<p>Not run.</p>"
    if entry["status"] == "failed":
        return (
            parts[0]
            + f'<div class="failed"><p>This part failed.</p><pre>{escape(entry["traceback"])}</pre></div>'
        )
    parts += [_figure(figure, folder, results) for figure in entry["figures"]]
    parts += [_table(table) for table in entry["tables"]]
    parts += [f'<p class="small">Warning: {escape(text)}</p>' for text in entry["warnings"]]
    return "\n".join(parts)


def _figure(figure: dict[str, Any], folder: Path, results: dict[str, Any]) -> str:
    image = base64.b64encode((folder / "figures" / f"{figure['name']}.png").read_bytes()).decode()
    code = f"# the whole report\n{results['command']}\n\n# draw this figure again\n{redraw(figure['name'])}"
    if figure["code"] != redraw(figure["name"]):
        code = f"{code}\n# simulate and measure again\n{figure['code']}"
    return (
        f'<figure><img alt="{escape(figure["name"])}" src="data:image/png;base64,{image}">'
        f"<figcaption>{escape(figure['caption'])}</figcaption>"
        f"<details><summary>get it again</summary><pre>{escape(code)}</pre></details></figure>"
    )


def _table(table: dict[str, Any]) -> str:
    header = "".join(f"<th>{escape(cell)}</th>" for cell in table["header"])
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table["rows"]
    )
    caption = escape(table["caption"])
    return f'<div class="scroll"><table><caption>{caption}</caption><tr>{header}</tr>{rows}</table></div>'

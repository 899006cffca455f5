"""Write report.html: one file without scripts or external resources, made from results.json and the figures."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from dysonsim.reproduce.parts import (
    DISAGREES,
    EXPECTED,
    LEVEL,
    SIGMAS,
    counted,
    in_words,
    redraw,
    row_cells,
)

# "Expand all" and printing open every group by making ::details-content visible, which needs no script. Browsers that
# do not know ::details-content show no such switch. Without it, find-in-page opens the groups in which it finds
# something, and so do the links to them.
STYLE = """
:root { color-scheme: light; --line: #d9d9d6; --soft: #f6f6f4; --link: #1d4f7c; }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { font: 17px/1.55 Georgia, 'Times New Roman', serif; color: #1c1c1c; background: #fff; margin: 0 auto;
  padding: 1.5rem 1.25rem 4rem; max-width: 66rem; overflow-wrap: break-word; }
h1 { font-size: 1.9em; line-height: 1.2; margin: .3em 0; }
h2 { font-size: 1.4em; line-height: 1.25; margin: 2.4em 0 .6em; border-bottom: 1px solid var(--line); }
p, li, figcaption { max-width: 46rem; } a { color: var(--link); }
figure { margin: 1.2em 0 1.6em; } figcaption { font-size: .93em; color: #333; margin-top: .5em; }
.picture { overflow-x: auto; } .picture img { display: block; width: 100%; height: auto; }
nav { font: 15px/1.4 Helvetica, Arial, sans-serif; } nav h2 { font-size: 1.1em; margin: 1.5em 0 .5em; border: 0; }
nav ul { list-style: none; margin: 0; padding: 0; } nav li { padding: .4em 0; border-top: 1px solid var(--line); }
nav a { font-weight: bold; text-decoration: none; } nav a:hover { text-decoration: underline; }
nav small { display: block; font-size: .9em; }
table { border-collapse: collapse; font: 14px/1.4 Helvetica, Arial, sans-serif; margin: .8em 0; width: 100%; }
caption { text-align: left; font: .95em/1.45 Georgia, serif; color: #333; padding-bottom: .5em; }
th { text-align: left; border-bottom: 2px solid #444; padding: .3em .6em; vertical-align: bottom; }
td { border-bottom: 1px solid var(--line); padding: .28em .6em; vertical-align: top;
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } .numbers td { white-space: nowrap; }
pre { background: var(--soft); padding: .8em 1em; overflow-x: auto; font: 13px/1.45 Menlo, Consolas, monospace; }
details { margin: .5em 0; }
summary { cursor: pointer; font: 15px/1.45 Helvetica, Arial, sans-serif; color: var(--link); padding: .3em 0; }
.group { border: 1px solid var(--line); border-radius: 4px; padding: .2em .8em; }
.group summary b { color: #1c1c1c; } .rows td:nth-child(2) { min-width: 9.5em; }
.verdict { font-weight: bold; } .agrees { color: #1b6b34; } .expected { color: #7d5200; } .disagrees { color: #b00020; }
td.disagrees { font-weight: bold; }
.failed { border-left: 4px solid #b00020; padding-left: 1em; }
.small { font-size: .9em; color: #555; }
.switch { display: none; font: 15px/1.4 Helvetica, Arial, sans-serif; }
@supports selector(::details-content) and selector(:has(a)) {
  .switch { display: inline-block; cursor: pointer; padding: .4em 0; }
  body:has(#all:checked) .group::details-content { content-visibility: visible; block-size: auto; }
  body:has(#all:checked) .group > summary { list-style-type: disclosure-open; pointer-events: none; }
}
@media (max-width: 44rem) {
  body { font-size: 16px; padding: 1rem .9rem 3rem; } h1 { font-size: 1.5em; } h2 { font-size: 1.25em; }
  .picture img { width: 44rem; max-width: none; }
  .group { padding: .1em .5em; } .group ol { padding-left: 1.4em; }
  .rows, .rows tbody, .rows tr, .rows td { display: block; } .rows thead { display: none; }
  .rows tr { border-bottom: 1px solid var(--line); padding: .5em 0; } .rows td { border: 0; padding: .1em 0; }
  .rows td:first-child { font-weight: bold; } .rows td:empty { display: none; }
  .rows td[data-label]::before { content: attr(data-label) ": "; color: #555; font-weight: normal; }
}
@media (min-width: 84rem) {
  body { display: grid; grid-template-columns: 16rem minmax(0, 64rem); gap: 0 3rem; max-width: 86rem; }
  nav { grid-column: 1; grid-row: 1 / span 2; position: sticky; top: 0; align-self: start; max-height: 100vh;
    overflow-y: auto; }
  header, main { grid-column: 2; }
}
@page { margin: 16mm 14mm; }
@media print {
  body { display: block; max-width: none; padding: 0; font-size: 10.5pt; } .switch, .again { display: none; }
  nav { position: static; max-height: none; } a { color: inherit; text-decoration: none; }
  figure, tr { break-inside: avoid; } h2, summary { break-after: avoid; } thead { display: table-header-group; }
  .picture, .scroll { overflow: visible; } .numbers td { white-space: normal; } table { font-size: 8.5pt; }
  details::details-content { content-visibility: visible !important; block-size: auto !important; }
  details > summary { list-style: none; }
}
"""
EXPLANATION = (
    f"A number agrees with its prediction if it is within {SIGMAS:g} standard errors, a law if its p-value is at least "
    f"{LEVEL:g}; either is missed by chance once in a thousand comparisons. A comparison deviates as expected if the "
    "prediction is an approximation and the deviation is no larger than what it leaves out: the numbered notes say "
    "what that is. Errors are statistical; networks are resampled as a whole. Resampled p-values are at least "
    "1/(draws + 1), which is 0.0005, or 10⁻⁵ where a law is claimed to describe the data."
)


def render(results: dict[str, Any], folder: Path) -> str:
    """Return the whole page; figures are read from folder/figures and embedded."""
    parts = {name: entry for name, entry in results["parts"].items() if name != "overview"}
    overview = results["parts"].get("overview")
    if overview is not None and overview["status"] == "failed":
        parts["overview"] = overview
    body = [
        _head(results, folder),
        _contents(parts),
        "<main>",
        *(_part(name, entry, folder, results) for name, entry in parts.items()),
        _comparisons(results, parts),
        _provenance(results),
        "</main>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>dysonsim report</title><style>{STYLE}</style></head>\n"
        "<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _head(results: dict[str, Any], folder: Path) -> str:
    incomplete = [entry["title"] for entry in results["parts"].values() if entry["status"] != "ok"]
    state = f'<p class="failed">Not complete: {escape(", ".join(incomplete))}.</p>' if incomplete else ""
    overview = results["parts"].get("overview", {"status": "not run"})
    figures = overview["figures"] if overview["status"] == "ok" else []
    return (
        "<header><h1>Stochastic gradient descent and random matrix theory</h1>"
        "<p>The simulations of arXiv:2412.20496 and the scaling study of arXiv:2407.16427, run anew: every number "
        "below comes from networks that were trained for this report.</p>"
        f"{_verdict(results['summary'], 'comparisons', name_wrong=False)}{state}"
        f"{''.join(_figure(figure, folder, results) for figure in figures)}</header>"
    )


def _contents(parts: dict[str, Any]) -> str:
    """Return the table of contents, with the verdict on every part in words."""
    lines = []
    for name, entry in parts.items():
        said = _standing(entry)
        if entry["status"] == "ok":
            said = f'<small class="{_style(entry["rows"])}">{escape(in_words(entry["rows"]))}</small>'
        lines.append(f'<li><a href="#{name}">{escape(entry["title"])}</a>{said}</li>')
    lines.append('<li><a href="#comparisons">All comparisons</a></li>')
    lines.append('<li><a href="#run">How this report was made</a></li>')
    return f"<nav><h2>Contents</h2><ul>{''.join(lines)}</ul></nav>"


def _standing(entry: dict[str, Any]) -> str:
    said = "This part failed." if entry["status"] == "failed" else "Not run."
    return f'<small class="disagrees">{said}</small>'


def _style(rows: list[dict[str, Any]]) -> str:
    """Return the class of the worst verdict."""
    found = {row["verdict"] for row in rows}
    return "disagrees" if DISAGREES in found else "expected" if EXPECTED in found else "agrees"


def _verdict(rows: list[dict[str, Any]], link: str, name_wrong: bool = True) -> str:
    """Return the verdict on the rows in words; what disagrees is named if `name_wrong`."""
    if not rows:
        return ""
    wrong = [row["quantity"] for row in rows if row["verdict"] == DISAGREES]
    named = f'<p class="small">Disagrees: {escape("; ".join(wrong))}.</p>' if wrong and name_wrong else ""
    return (
        f'<p><span class="verdict {_style(rows)}">{escape(in_words(rows))}</span> '
        f'<a href="#{link}">See {"them" if len(rows) > 1 else "it"}</a></p>{named}'
    )


def _part(name: str, entry: dict[str, Any], folder: Path, results: dict[str, Any]) -> str:
    title = f'<section><h2 id="{name}">{escape(entry["title"])}</h2>'
    if entry["status"] == "not run":
        return f"{title}<p>Not run.</p></section>"
    if entry["status"] == "failed":
        told = f"<p>This part failed.</p><pre>{escape(entry['traceback'])}</pre>"
        return f'{title}<div class="failed">{told}</div></section>'
    lines = [title, _verdict(entry["rows"], f"rows-{name}")]
    lines += [_figure(figure, folder, results) for figure in entry["figures"]]
    lines += [_table(table, f"table-{name}-{k}") for k, table in enumerate(entry["tables"])]
    lines.append(_warnings(entry["warnings"]))
    return "\n".join(lines) + "</section>"


def _warnings(texts: list[str]) -> str:
    if not texts:
        return ""
    said = "1 warning" if len(texts) == 1 else f"{len(texts)} warnings"
    listed = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<details><summary>{said} during this part</summary><ul class="small">{listed}</ul></details>'


def _comparisons(results: dict[str, Any], parts: dict[str, Any]) -> str:
    """Return every comparison once: a folded group per part, with its counts in the summary line."""
    groups = [_group(name, entry) for name, entry in parts.items() if entry.get("rows")]
    if not groups:
        return ""
    return (
        f'<section><h2 id="comparisons">All comparisons</h2><p>{escape(counted(results["summary"]))}. {EXPLANATION}</p>'
        '<label class="switch"><input type="checkbox" id="all"> Expand all groups</label>'
        + "\n".join(groups)
        + "</section>"
    )


def _group(name: str, entry: dict[str, Any]) -> str:
    rows = entry["rows"]
    notes = list(dict.fromkeys(row["why"] for row in rows if row["why"]))
    lines = []
    for row in rows:
        mark = f" <sup>{notes.index(row['why']) + 1}</sup>" if row["why"] else ""
        labels = ("measured", "predicted", "deviation")
        cells = "".join(
            f'<td data-label="{label}">{escape(cell)}</td>' if cell else "<td></td>"
            for label, cell in zip(labels, row_cells(row), strict=True)
        )
        style = _style([row])
        lines.append(
            f"<tr><td>{escape(row['quantity'])}</td>{cells}"
            f'<td data-label="verdict" class="{style}">{escape(row["verdict"])}{mark}</td></tr>'
        )
    remarks = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<details class="group"><summary><b>{escape(entry["title"])}</b>: '
        f'<span class="{_style(rows)}">{escape(counted(rows))}</span></summary>'
        f'<div id="rows-{name}"><table class="rows"><thead><tr><th>quantity</th><th>measured</th><th>predicted</th>'
        f"<th>deviation</th><th>verdict</th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
        f'{f"""<ol class="small">{remarks}</ol>""" if remarks else ""}</div></details>'
    )


def _figure(figure: dict[str, Any], folder: Path, results: dict[str, Any]) -> str:
    image = base64.b64encode((folder / "figures" / f"{figure['name']}.png").read_bytes()).decode()
    code = f"# the whole report\n{results['command']}\n\n# draw this figure again\n{redraw(figure['name'])}"
    if figure["code"] != redraw(figure["name"]):
        code = f"{code}\n# simulate and measure again\n{figure['code']}"
    return (
        f'<figure><div class="picture"><img alt="{escape(figure["alt"])}" src="data:image/png;base64,{image}"></div>'
        f"<figcaption>{escape(figure['caption'])}</figcaption>"
        f'<details class="again"><summary>How to reproduce this figure</summary><pre>{escape(code)}</pre></details>'
        "</figure>"
    )


def _table(table: dict[str, Any], key: str) -> str:
    """Return the table; its caption is a paragraph, so that it stays in view where the table is wider than the page."""
    header = "".join(f"<th>{escape(cell)}</th>" for cell in table["header"])
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table["rows"])
    return (
        f'<p class="small" id="{key}">{escape(table["caption"])}</p>'
        f'<div class="scroll"><table class="numbers" aria-labelledby="{key}">'
        f"<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _provenance(results: dict[str, Any]) -> str:
    run, machine = results["run"], results["run"]["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    seconds = sorted(run["seconds"].items(), key=lambda item: item[0] == "total")  # the total comes last
    times = "; ".join(f"{name} {value:.1f} s" for name, value in seconds)
    return (
        f'<section><h2 id="run">How this report was made</h2><pre>{escape(results["command"])}</pre>'
        f"<p>{escape(versions)}. Started {run['started']} on {escape(str(machine['processor']))}, {machine['cores']} "
        f"cores, {escape(machine['system'])}. Times: {escape(times)}. All numbers are in results.json, the figures in "
        "figures/, beside this file.</p></section>"
    )

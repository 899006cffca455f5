"""Write report.html: one file without scripts or external resources, made from results.json and the figures."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from dysonsim._html import page, picture, table
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
    return page("dysonsim report", body)


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
    for k, numbers in enumerate(entry["tables"]):
        lines.append(table(numbers["caption"], numbers["header"], numbers["rows"], f"table-{name}-{k}"))
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
    image = (folder / "figures" / f"{figure['name']}.png").read_bytes()
    code = f"# the whole report\n{results['command']}\n\n# draw this figure again\n{redraw(figure['name'])}"
    if figure["code"] != redraw(figure["name"]):
        code = f"{code}\n# simulate and measure again\n{figure['code']}"
    return (
        f"<figure>{picture(image, figure['alt'])}<figcaption>{escape(figure['caption'])}</figcaption>"
        f'<details class="again"><summary>How to reproduce this figure</summary><pre>{escape(code)}</pre></details>'
        "</figure>"
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

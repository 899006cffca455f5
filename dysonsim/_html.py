"""Pages of one file, without scripts or external resources: what all reports share."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

__all__ = ["page", "picture", "table"]

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


def page(title: str, body: Sequence[str]) -> str:
    """Return the whole page from the parts of its body, which are HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        "<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def picture(png: bytes, alt: str) -> str:
    """Return a picture, embedded."""
    image = base64.b64encode(png).decode()
    return f'<div class="picture"><img alt="{escape(alt)}" src="data:image/png;base64,{image}"></div>'


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], key: str) -> str:
    """Return a table; its caption is a paragraph, so that it stays in view where the table is wider than the page."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<p class="small" id="{key}">{escape(caption)}</p>'
        f'<div class="scroll"><table class="numbers" aria-labelledby="{key}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )

"""Phases of a network whose middle layer is trained: maps over the spread of its start and the temperature."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dysonsim._text import with_error
from dysonsim.reproduce.ensembles import Ensembles
from dysonsim.reproduce.parts import EXPECTED, Figure, Part, Row, Table, number_row
from dysonsim.reproduce.style import label_panel, new_figure, styled
from dysonsim.scans.phase_diagram import INVERSE_SIGMA, TEMPERATURE, PhaseDiagram, draw_map, phase_diagram

SHOWN = ("overlap", "alignment", "spacing_growth", "loss")
# (1/sigma_W, T_c) of the paper, read off its figures.
PAPER = ((8.0, 0.475), (4.0, 0.696), (2.0, 0.821), (1.0, 0.844), (0.5, 1.077), (0.25, 1.722), (0.125, 2.143))
FACTOR = math.log(2.0)
STILL = 0.15
WHY_FEWER = (
    "The paper has 100 networks a point and 10⁸ updates. With few networks the share of those that are confined is "
    "coarse, and a factor of two in T_c is allowed."
)
WHY_MOVED = "Levels that stay where they began are moved a little by what is learned: a growth of 15% is allowed."
ALT = (
    "Four maps over 1/sigma_W and temperature with two boundaries: overlap of features at start and end, large at "
    "lower left; alignment with the target, large at lower right; growth of spacings, large at the top; test loss, "
    "small at lower right."
)


def measure(ensembles: Ensembles) -> Part:
    """Train the networks of every point and compare the boundary with the paper's."""
    size = ensembles.size
    axes = {"inverse_sigma": INVERSE_SIGMA[:: size.phase_stride], "temperature": TEMPERATURE[:: size.phase_stride]}
    amount = {"updates": size.phase_updates, "replicas": size.phase_replicas, "seed": ensembles.seed}
    found = phase_diagram(**axes, **amount, progress=False)  # type: ignore[arg-type]
    code = "import dysonsim as ds\n\nfound = ds.phase_diagram(\n"
    code += "".join(f"    {name}={value!r},\n" for name, value in (axes | amount).items()) + ")\nprint(found)\n"
    caption = (
        "Phase diagram of arXiv:2509.01349: a 3 → 32 → 16 → 1 network with tanh units, of which only the 16 × 32 "
        "matrix W is trained, on 4000 samples of a teacher of its own, |B| = 4. After "
        f"{found.updates} updates (the paper: 10⁸), {found.replicas} networks a point. (a) Overlap q of the last "
        "features at start and end; (b) alignment of features with the target; (c) growth of the mean spacing of "
        "WWᵀ; (d) test loss. Solid: T_c, below which the drift of the levels outweighs their repulsion in 68% of "
        "networks; dashed: σ_W² = ½. Right of it and below T_c levels reach those of the teacher; above T_c they "
        "diffuse; at the lower left they stay where they began."
    )
    return Part(
        found.to_dict(), [Figure("phases", ALT, caption, code)], [_table(found)], [_boundary(found), _jammed(found)]
    )


def _boundary(found: PhaseDiagram) -> Row:
    """Compare T_c with the paper's where both are known."""
    paper, critical = dict(PAPER), found.critical_temperature()
    both = [
        (math.log(t), math.log(paper[s]))
        for s, t in zip(found.inverse_sigma.tolist(), critical, strict=True)
        if s in paper and math.isfinite(t)
    ]
    mine, theirs = np.array(both).reshape(-1, 2).T
    count = len(mine)
    quantity = f"mean of ln T_c over {count} values of 1/σ_W, against the paper's"
    if count < 2:
        return Row(quantity, None, None, None, None, EXPECTED, WHY_FEWER, "too few points", "the paper's boundary")
    error = float((mine - theirs).std(ddof=1) / count**0.5)
    return number_row(quantity, float(mine.mean()), error, float(theirs.mean()), allowed=FACTOR, why=WHY_FEWER)


def _jammed(found: PhaseDiagram) -> Row:
    """Levels of the widest start stay where they began at the lowest temperature."""
    at = int(np.argmin(found.inverse_sigma)), int(np.argmin(found.temperature))
    growth, error = (float(values["spacing_growth"][at]) for values in (found.maps, found.errors))
    where = f"1/σ_W = 1/{1 / found.inverse_sigma[at[0]]:g}, T = {found.temperature[at[1]]:g}"
    return number_row(f"growth of spacings at {where}", growth, error, 0.0, allowed=STILL, why=WHY_MOVED)


def _table(found: PhaseDiagram) -> Table:
    cold = int(np.argmin(found.temperature))
    rows = []
    for k, critical in enumerate(found.critical_temperature()):
        cells = [with_error(float(found.maps[n][k, cold]), float(found.errors[n][k, cold])) for n in SHOWN]
        rows.append([f"{found.inverse_sigma[k]:g}", "" if math.isnan(critical) else f"{critical:.2g}", *cells])
    caption = f"T_c, and at T = {found.temperature[cold]:g}: overlap, alignment, growth of spacings, test loss."
    return Table(caption, ["1/σ_W", "T_c", "q", "h", "ln growth", "loss"], rows)


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw four maps with both boundaries."""
    data = results["parts"]["phases"]["data"]
    fig = new_figure(11, 8)
    for letter, axes, name in zip("abcd", fig.subplots(2, 2).ravel(), SHOWN, strict=True):
        title = draw_map(axes, data, name).get_title()
        axes.set_title("")
        label_panel(axes, letter, title)
    return fig

"""Simulate arXiv:2412.20496, the scaling study of arXiv:2407.16427 and more anew, and write a report.

Every part of the report is one file with two functions. `measure` takes the `Ensembles`, which simulate every
parameter point once, and returns a `Part`: numbers, captions, tables and comparisons with theory. `draw` takes the
results alone, as they are stored in results.json, and returns the figure; `dysonsim.reproduce.figures` lists these
functions under the names of the figures.

`spectrum`, `surmise`, `scaling`, `teacher`, `relaxation` and `densities` are about SGD; `levels`, `motion` and
`linear_levels` compare it with the Langevin equation, Dyson Brownian motion and the Coulomb gas, `long_range` the
number variance, rigidity and form factor of all four; `phases` is the phase diagram of a nonlinear network
(arXiv:2509.01349); `overview` shows the project in one figure.
"""

from dysonsim.reproduce.command import reproduce
from dysonsim.reproduce.sizes import FULL, QUICK, TINY, Size

__all__ = ["FULL", "QUICK", "TINY", "Size", "reproduce"]

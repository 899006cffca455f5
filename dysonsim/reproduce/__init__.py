"""`reproduce`: arXiv:2412.20496 and the scaling study of arXiv:2407.16427, simulated and reported.

One file a part: `spectrum`, `surmise`, `scaling`, `teacher`, `relaxation`, `densities` of SGD; `levels`, `motion`,
`linear_levels` of SGD against Langevin, Dyson Brownian motion and the Coulomb gas. A part is a function of the
`Ensembles` (which simulate every parameter point once) that returns a `Part`: numbers, captions, tables and rows of
the summary. `dysonsim.reproduce.figures` draws the figures from those numbers alone.
"""

from dysonsim.reproduce.command import reproduce
from dysonsim.reproduce.sizes import FULL, QUICK, TINY, Size

__all__ = ["FULL", "QUICK", "TINY", "Size", "reproduce"]

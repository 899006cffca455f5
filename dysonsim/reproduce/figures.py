"""The figures of the report, drawn from the numbers in its results.json; nothing is computed here but curves of laws.

Every function takes the results (the dict that `dysonsim.reproduce.reproduce` returns, or json.load of results.json)
and returns a matplotlib Figure: ``dysonsim.reproduce.figures.surmise(results).savefig("surmise.pdf")``.
"""

from dysonsim.reproduce.densities import draw as densities
from dysonsim.reproduce.levels import draw as levels
from dysonsim.reproduce.linear_levels import draw as linear_levels
from dysonsim.reproduce.long_range import draw as long_range
from dysonsim.reproduce.motion import draw as motion
from dysonsim.reproduce.optimizers import draw as optimizers
from dysonsim.reproduce.overview import draw as overview
from dysonsim.reproduce.phases import draw as phases
from dysonsim.reproduce.relaxation import draw as relaxation
from dysonsim.reproduce.scaling import draw as scaling
from dysonsim.reproduce.scaling import draw_mean_levels as mean_levels
from dysonsim.reproduce.spectrum import draw as spectrum
from dysonsim.reproduce.surmise import draw as surmise
from dysonsim.reproduce.teacher import draw as teacher

__all__ = [
    "densities", "levels", "linear_levels", "long_range", "mean_levels", "motion", "optimizers", "overview", "phases",
    "relaxation", "scaling",
    "spectrum", "surmise", "teacher",
]  # fmt: skip

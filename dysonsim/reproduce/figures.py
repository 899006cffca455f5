"""The figures of the report, drawn from the numbers in its results.json; nothing is computed here but curves of laws.

Every function takes the results (the dict that `dysonsim.reproduce.command` returns, or json.load of results.json)
and returns a matplotlib Figure: ``dysonsim.reproduce.figures.surmise(results).savefig("surmise.pdf")``.
"""

from dysonsim.reproduce.draw_levels import levels, linear_levels, motion
from dysonsim.reproduce.draw_linear import densities, relaxation, teacher
from dysonsim.reproduce.draw_rbm import mean_levels, overview, scaling, spectrum, surmise

__all__ = [
    "densities", "levels", "linear_levels", "mean_levels", "motion", "overview", "relaxation", "scaling", "spectrum",
    "surmise", "teacher",
]  # fmt: skip

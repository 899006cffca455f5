"""Scans: a process at every point of a grid of parameters, in pieces that survive whatever ends them.

`points` says what is varied, `recipe` what is done at a point, `pieces` how that is divided, `arrays` and `store` where
results lie, `progress` what is done, `local` and `cluster` who does it, `result` what is read off.
"""

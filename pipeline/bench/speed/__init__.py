"""The benchmark of the whole pipeline: measure, draw, and compare with an earlier one."""

"""Geometry problems from annotations: parse, solve, redraw, vary."""

"""Evaluations: how well the methods do on real and simulated people."""

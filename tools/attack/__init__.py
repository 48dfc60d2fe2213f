"""Attacks on what leaves the machine: hostile summaries, and random sequences of gate calls."""

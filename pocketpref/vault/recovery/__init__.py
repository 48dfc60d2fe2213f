"""Recover the intact records of a damaged vault."""

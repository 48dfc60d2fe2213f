"""Broken input for every parser of outside data, and for the local server."""

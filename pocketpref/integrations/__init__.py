"""Connections to other programs and to the operating system."""

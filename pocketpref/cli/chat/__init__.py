"""The ``chat`` command."""

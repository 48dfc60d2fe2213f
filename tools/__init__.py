"""Programs that make, measure, attack and calibrate; the library never imports them.

Run one from the repository's root, in the environment that `make` sets up, as
``python -m tools.FOLDER.NAME``. tools/README.md lists them.
"""

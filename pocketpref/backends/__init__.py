"""The back ends: each heavy library has its one home here."""

"""Detect tampering, rollback and incomplete erasure."""

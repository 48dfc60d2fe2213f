"""Torture of a vault: kills, power cuts, failed writes, flipped bytes, forgeries, leaks."""

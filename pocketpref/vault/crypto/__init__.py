"""Keys, sealing and rotation."""

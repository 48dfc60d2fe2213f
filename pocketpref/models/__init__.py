"""pocketpref/models."""

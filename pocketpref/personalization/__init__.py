"""Personalization: what one person likes, how sure that is, and the words that say it."""

"""POPI (arXiv 2510.17881): a short summary of preferences, searched, edited and stored."""

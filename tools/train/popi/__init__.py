"""POPI (arXiv 2510.17881): a trained summarizer, alone or with its generator."""

"""PALM (arXiv 2604.04144): a portfolio of policies and which of them fits a person."""

"""PALM (arXiv 2604.04144): a small portfolio of policies that covers every weighting of traits."""

"""EXACT (arXiv 2602.17695): attributes selected for each choice, recalled for each prompt."""

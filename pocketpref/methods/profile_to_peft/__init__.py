"""Profile-to-PEFT (arXiv 2510.16282): an adapter generated from a profile."""

"""Back ends: one module or package for each heavy library."""

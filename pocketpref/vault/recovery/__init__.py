"""Read and save what a damaged vault still holds."""

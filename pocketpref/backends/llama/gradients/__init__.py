"""First-order estimates of margins, by a numpy transformer with a backward pass."""

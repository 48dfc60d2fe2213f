"""First-order estimates of score margins from a numpy transformer with a backward pass."""

"""The methods and baselines that an evaluation compares."""

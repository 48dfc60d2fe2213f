"""Pick the best of several replies by a Bradley-Terry model of text style."""

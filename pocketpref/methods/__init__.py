"""The published methods: each turns what a person chose into a condition for the next prompt."""

"""What personalizes a reply."""

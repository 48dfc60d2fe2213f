"""How replies are made this person's: what is said to a model, and how it is said."""

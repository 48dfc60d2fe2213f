"""Profile-to-PEFT: a hypernetwork that generates a personal adapter."""

"""What connects pocketpref to other programs and to the operating system."""

"""How the program ends when it is told to, and how it works on several processes."""

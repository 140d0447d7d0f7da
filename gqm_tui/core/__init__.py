"""What the terminal UI knows and decides, without a terminal: nothing in here imports Textual."""

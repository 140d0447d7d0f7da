"""The screens: a frame around panes, what is pushed on top of it, and the dialogs."""

"""The commands that people and pods start."""

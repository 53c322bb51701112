"""Deciding, and nothing else: no await, clock, log or metric in this room."""

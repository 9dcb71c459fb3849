"""The small model the pack ships: its world of captioned clips, its three parts and how they are trained."""

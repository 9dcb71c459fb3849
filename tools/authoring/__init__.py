"""Writes the published files: workflows, subgraphs, locales, thumbnails and pictures."""

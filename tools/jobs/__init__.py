"""Rows of many kinds become jobs, jobs become graphs, graphs become finished clips."""

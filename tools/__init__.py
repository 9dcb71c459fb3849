"""Developer tools: the demo, the test command, the checkpoint converter and what they share."""

"""Clips over HTTP: what is asked for waits in a bounded queue, and is made by warm ComfyUIs on Ray Serve."""

"""A ComfyUI to run graphs in: its environment, its server, its client, its graphs and a browser at it."""

"""Stand-in for the node API that ComfyUI grew after March 2024: the few schema classes this pack uses."""

"""The seam between the pack and ComfyUI: the only place that names the host's internals."""

"""What ComfyUI's own nodes do to a SEINE clip, and the page that says so."""

"""Video files that grow: their ends are read, new frames are written before or behind what is there, as it is."""

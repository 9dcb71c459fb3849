"""Training of the network, and the small model it is tried with."""

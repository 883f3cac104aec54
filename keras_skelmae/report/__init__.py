"""Pictures: skeletons as strips and animations, reconstructions, and the report of a run as one HTML page."""

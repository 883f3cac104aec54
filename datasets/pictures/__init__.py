"""Pictures of sequences and skeletons: strips, animations, layouts; matplotlib is loaded when one is drawn."""

"""SadTalker: a portrait that speaks, blinks and moves its head (Zhang et al., CVPR 2023)."""

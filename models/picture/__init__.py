"""The picture of an episode: layout, backdrop, visualiser, captions and hosts in 4:2:0 planes."""

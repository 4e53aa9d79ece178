"""Sound as a mixing desk sees it: ducking, beds, loudness, true peak, limiting. Arrays in, arrays
out.

Everything streams in blocks of `studio.audio.BLOCK` samples and keeps only curves of a few hundred
values a second, so that memory hardly grows with the length of the episode.
"""

"""The weightless presenter: a drawn host, or a portrait of the user, moved by phonemes. No network,
no weights.
"""

"""The script: plain text in, `studio.types.Script` out. Whatever is a direction is never spoken."""

from studio.script.lexicon import read_lexicon
from studio.script.parse import CleanText, clean_text, parse_script, read_script

__all__ = ["CleanText", "clean_text", "parse_script", "read_lexicon", "read_script"]

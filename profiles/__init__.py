"""What machine, how good: TOML files, and the loader that refuses what it does not know."""

from profiles.fit import shortfall, suggest
from profiles.loader import Profile, load_profile, profile_names, settle

__all__ = ["Profile", "load_profile", "profile_names", "settle", "shortfall", "suggest"]

"""The words of the house: values, specs, errors, the store, the clock. Imports nothing of ours."""

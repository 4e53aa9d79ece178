"""Wav2Lip: a still or filmed face whose lips follow the sound (Prajwal et al., ACM MM 2020)."""

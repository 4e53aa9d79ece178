"""GFPGAN: sharp detail for a generated face (Wang et al., CVPR 2021)."""

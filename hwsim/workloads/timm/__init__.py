"""Families of image networks under the names that timm (R. Wightman, PyTorch Image Models, 2019) gives them."""

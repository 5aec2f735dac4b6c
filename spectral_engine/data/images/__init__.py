"""Images as people have them: a folder or an archive, one folder per class or a table of names and labels."""

from spectral_engine.data.images.archive import holds_images
from spectral_engine.data.images.arrays import images_as_arrays

__all__ = ["holds_images", "images_as_arrays"]

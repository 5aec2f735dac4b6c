"""Images in a folder or an archive, with their classes: found, decoded, and laid out as the model takes them."""

"""How often a model that is handed back as within the floor is truly worse than it."""

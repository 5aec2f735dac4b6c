"""API keys: who may ask for what, on behalf of which tenant."""

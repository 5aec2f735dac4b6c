"""`retrain`: train in spectral space and remove nothing."""

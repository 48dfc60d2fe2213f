"""Choose the real components: key store, models, trained artifacts."""

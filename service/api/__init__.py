"""The REST API: `service.api.app.create_app(settings)` builds it."""

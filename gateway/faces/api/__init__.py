"""The REST API: a face of the services under `/v1`, described by `/openapi.json`."""

"""The REST API (`/api/v1/`): what all its views share. Those of each app are in its own `api`."""

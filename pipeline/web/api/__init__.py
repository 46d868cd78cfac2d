"""The routes of the JSON API, by page."""

"""The review page: look at identities in a browser, and correct them."""

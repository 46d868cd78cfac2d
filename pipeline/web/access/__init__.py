"""Who may use the page, and what requests may say."""

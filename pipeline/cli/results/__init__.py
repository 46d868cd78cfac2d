"""Commands about stored runs: tables, videos, the review page, and what is deleted."""

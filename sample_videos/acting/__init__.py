"""Acting: where people stand and walk, what they do, and the script of the sample store's minute."""

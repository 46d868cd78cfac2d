"""The search by appearance: what is searched for, and who looks most like it."""

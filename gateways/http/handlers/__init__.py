"""What each route does, one module a family of routes."""

"""The API gateway: named APIs, each a route with a chain of filters and a call of a back end."""

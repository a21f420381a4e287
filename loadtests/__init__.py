"""Load tests: Locust scenarios and side-by-side runs against other proxies."""

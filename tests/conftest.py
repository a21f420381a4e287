"""Settings for all tests: `pytest --hypothesis-profile=slow` looks forty times harder."""

from hypothesis import settings

# No deadline: on a shared machine the time of one example says nothing about the code.
settings.register_profile("fast", max_examples=50, deadline=None)
settings.register_profile("slow", max_examples=2000, deadline=None)
settings.load_profile("fast")

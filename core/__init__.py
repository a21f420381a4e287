"""What every role shares: configuration, the plan, life cycle, admin API, commands."""

"""The load balancer: HTTP listeners whose routes lead to pools of servers."""

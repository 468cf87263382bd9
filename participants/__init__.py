"""The demos: services with books of their own, and the sagas that run over them."""

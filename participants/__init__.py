"""The demo shop: four services with books of their own, and the saga that fulfils an order with them."""

"""`qnet bench privacy`: whether payments can be told apart by all who see them."""

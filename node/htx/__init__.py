"""The link: a Chrome-like, mutually authenticated pipe between two parties."""

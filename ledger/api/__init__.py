"""The HTTP interface of a committee member."""

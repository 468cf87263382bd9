"""How commands reach participants that are not functions of this project."""

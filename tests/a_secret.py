"""An installation secret as the product asks for one: made once by the command in the README, and of no installation."""

__all__ = ["ANOTHER", "SECRET"]

SECRET = b"pRUdC0mLv1nM4T2zXkY7oQw9hJ5sB3eAfG8iK6lNcVE="
ANOTHER = b"8ZtqWm3Xr0cVbN5yLk2HjF7gDs4aQpE9oUi1TzRxMvA="

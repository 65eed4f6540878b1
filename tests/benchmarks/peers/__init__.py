"""What others do for the same work, each as small as its own tutorial makes it."""

"""What is stored where: one file a format, which lists names, shapes and types, and reads one array when asked."""

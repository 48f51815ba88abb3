"""The base model of settings, its errors and their wording, and types of single values. Knows no section."""

"""The base model of settings, its errors and their wording, and types of values. Imports no section."""

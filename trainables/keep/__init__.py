"""A trained model as data: a recipe, weights, and what they answer."""

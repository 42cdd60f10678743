"""A variant in a user's own file, which alone among all variants needs search spaces and Ray."""

from trainables.variants import Variant


def own_variant(file: str, name: str) -> Variant:
    """The variant called `name` in a user's space file, which is executed.

    Raises:
        UserError: If there is no such file or variant, or the file is broken.
    """
    from search_spaces.loading import load_variant  # Ray, which takes seconds

    return load_variant(file, name)

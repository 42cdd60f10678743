"""Images, pairs, folds and augmentation."""
